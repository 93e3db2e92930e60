import { setTimeout as sleep } from 'node:timers/promises';
import { deflateSync, gzipSync } from 'node:zlib';
import { writeJson } from '../../../clients/typescript/src/json.ts';
import { type Check, type Context, type Part, Unproven } from '../check.ts';
import { expect, expectEqual, expectError } from '../expect.ts';
import type { Answer } from '../http.ts';
import { HEADER_LENGTH, inferBinary, inferJson, inferPath, jsonTensor, readTensors, show } from '../infer-call.ts';
import { sampleInputs } from '../sample.ts';

/** The inflated size of a bomb if the server's limit is not known; else it is a multiple of the limit. */
const BOMB_BYTES = 2 ** 30;
const BOMB_LIMITS = 64;
/** The inflated size of one gzip member: concatenated members are one body. */
const BOMB_MEMBER_BYTES = 2 ** 20;
/** The size of a body if the server's limit is not known: more than any server accepts. */
const HUGE_BYTES = 2 ** 40;
/** Longest time of an immediate response: nothing of that size can be allocated or processed in it. */
const AT_ONCE_MS = 2_000;
const SETTLE_MS = 200;
const REFUSAL_MS = 5_000;

interface Sample {
  readonly path: string;
  readonly inputs: readonly object[];
}

async function sampleOf(context: Context): Promise<Sample> {
  const metadata = await context.model();
  const tensors = Object.entries(sampleInputs(metadata));
  return { path: inferPath(metadata.name), inputs: tensors.map(([name, tensor]) => jsonTensor(name, tensor)) };
}

async function checkCompressed(context: Context, part: Part): Promise<void> {
  const { path, inputs } = await sampleOf(context);
  const body = writeJson({ inputs });
  const plain = await inferJson(context, path, body);
  const ask = (encoding: string, bytes: Uint8Array) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Encoding': encoding };
    return context.send({ method: 'POST', path, headers, body: bytes });
  };
  for (const [encoding, bytes] of [
    ['gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['identity', Buffer.from(body)],
  ] as const)
    await part(encoding, async () => {
      expectEqual(readTensors(await ask(encoding, bytes)).outputs, readTensors(plain).outputs, 'the outputs');
    });
  await part('gzip that is none', async () => expectError(await ask('gzip', Buffer.from(body)), 400));
  await part('gzip that is cut off', async () => expectError(await ask('gzip', gzipSync(body).subarray(0, -9)), 400));
  await part('an encoding that does not exist', async () =>
    expectError(await ask('x-none', Buffer.from(body)), [400, 415]),
  );
  await part('a bomb', async () => {
    const member = gzipSync(Buffer.alloc(BOMB_MEMBER_BYTES, 0x20));
    const bytes = context.limitBytes === undefined ? BOMB_BYTES : BOMB_LIMITS * context.limitBytes;
    const members = new Array<Buffer>(Math.ceil(bytes / BOMB_MEMBER_BYTES)).fill(member);
    expectError(await ask('gzip', Buffer.concat(members)), 413);
  });
}

/** A server may also read a body to its end before it refuses it: its limit must be known then. */
async function expectRefusal(context: Context, path: string, headers: Record<string, string>): Promise<void> {
  const sent = { method: 'POST', path, headers, declared: HUGE_BYTES, timeoutMs: REFUSAL_MS } as const;
  const answer = await context.send(sent).catch(() => {
    throw new Unproven('the server waits for the whole body: --limit BYTES says how much that is');
  });
  expectError(answer, 413);
}

async function checkTooLarge(context: Context, part: Part): Promise<void> {
  const { limitBytes } = context;
  const { path, inputs } = await sampleOf(context);
  const types = (await context.hasBinary()) ? ['application/json', 'application/octet-stream'] : ['application/json'];
  for (const type of types) {
    const headers = { 'Content-Type': type, ...(type !== 'application/json' && { [HEADER_LENGTH]: '2' }) };
    await part(`${limitBytes ?? HUGE_BYTES} bytes and one more, ${type}`, async () => {
      if (limitBytes === undefined) return expectRefusal(context, path, headers);
      const body = Buffer.alloc(limitBytes + 1, 0x20);
      body.write('{}');
      expectError(await context.send({ method: 'POST', path, headers, body }), 413);
    });
  }
  await part('the next request', async () => {
    const answer = await inferJson(context, path, { inputs });
    expect(answer.status === 200, `expected 200, got ${show(answer)}`);
  });
}

async function checkHugeShape(context: Context, part: Part): Promise<void> {
  const metadata = await context.model();
  const path = inferPath(metadata.name);
  const [name, { datatype }] = Object.entries(sampleInputs(metadata))[0]!;
  const timed = async (ask: () => Promise<Answer>): Promise<void> => {
    const started = performance.now();
    expectError(await ask(), 400);
    const ms = performance.now() - started;
    expect(ms < AT_ONCE_MS, `expected an answer at once, it took ${Math.round(ms)} ms`);
  };
  const shapes = [
    '[1099511627776]',
    '[1099511627776,4]',
    '[9007199254740993]',
    '[2147483648,2147483648]',
    '[4294967296,4294967296]',
    '[1e300]',
  ];
  for (const shape of shapes) {
    const item = (rest: string) =>
      `{"inputs":[{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":${shape},${rest}}]}`;
    await part(`${shape}, json`, () => timed(() => inferJson(context, path, item('"data":[]'))));
    if (!(await context.hasBinary())) continue;
    await part(`${shape}, binary`, () =>
      timed(() => inferBinary(context, path, item('"parameters":{"binary_data_size":8}'), new Uint8Array(8))),
    );
  }
}

/** The other dimensions do not depend on the number of rows. */
async function checkNoRows(context: Context, part: Part): Promise<void> {
  const metadata = await context.model();
  if (!metadata.inputs.every(({ shape }) => shape[0] === -1))
    throw new Unproven('the model takes no number of rows: --fixture');
  const path = inferPath(metadata.name);
  const tensorsOf = (rows: number) => Object.entries(sampleInputs(metadata, rows));
  const tensors = tensorsOf(0);
  const inJson = (rows: number) =>
    inferJson(context, path, { inputs: tensorsOf(rows).map(([name, tensor]) => jsonTensor(name, tensor)) });
  const row = readTensors(await inJson(1)).outputs;
  const check = (answer: Answer): void => {
    if (answer.status !== 200) {
      expectError(answer, 400);
      return;
    }
    for (const [name, { shape, data }] of Object.entries(readTensors(answer).outputs)) {
      expectEqual(data.length, 0, `the number of elements of ${name}`);
      expectEqual(shape, [0, ...row[name]!.shape.slice(1)], `the shape of ${name}, beside that of one row`);
    }
  };
  await part('json', async () => check(await inJson(0)));
  if (!(await context.hasBinary())) return;
  await part('binary', async () => {
    const inputs = tensors.map(([name, tensor]) =>
      jsonTensor(name, tensor, { data: undefined, parameters: { binary_data_size: 0 } }),
    );
    check(await inferBinary(context, path, { inputs }));
  });
}

/** Checks of requests that may need more resources than a server has. */
export const LIMIT_CHECKS: readonly Check[] = [
  { number: 26, title: 'compressed bodies are taken, and a bomb is 413', run: checkCompressed },
  {
    number: 27,
    title: 'a body over the limit is 413 with a JSON error, and the server goes on',
    async run(context, part) {
      await checkTooLarge(context, part);
      // Refused bodies that are still being sent must not affect the next check.
      await sleep(SETTLE_MS);
    },
  },
  { number: 28, title: 'a shape of 2^40 elements and more is 400 at once', run: checkHugeShape },
  {
    number: 29,
    title: 'no rows at all give outputs without rows and with the other dimensions of a row, or 400',
    run: checkNoRows,
  },
];
