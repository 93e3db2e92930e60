import type { AnyTensor, ModelMetadata } from '../../../clients/typescript/src/client.ts';
import { writeJson } from '../../../clients/typescript/src/json.ts';
import { encodeTensor } from '../../../clients/typescript/src/tensor-bytes.ts';
import { type Check, type Context, type Part, Unproven } from '../check.ts';
import { expect, expectEqual, expectError, expectJson } from '../expect.ts';
import { IDENTITY } from '../fixture.ts';
import type { Answer } from '../http.ts';
import {
  binaryTensor,
  HEADER_LENGTH,
  inferBinary,
  inferJson,
  inferPath,
  jsonTensor,
  readTensors,
  show,
} from '../infer-call.ts';
import { sampleInputs } from '../sample.ts';

const headLength = ({ headers }: Answer): string | undefined => headers[HEADER_LENGTH.toLowerCase()];

/** Every byte belongs to a tensor by the header: {@link readTensors} compares the sizes. */
function expectBytes(answer: Answer): void {
  readTensors(answer);
  expect(headLength(answer) !== undefined, `expected ${HEADER_LENGTH} in the answer, got ${show(answer)}`);
  expectEqual(answer.headers['content-type'], 'application/octet-stream', 'Content-Type');
  expectEqual(answer.headers['content-length'], String(answer.bytes.length), 'Content-Length');
}

function expectNoBytes(answer: Answer): void {
  expect(headLength(answer) === undefined, `expected JSON alone, got ${HEADER_LENGTH}: ${headLength(answer)}`);
  expectJson(answer);
}

/** A model with one input that is not BYTES, and one free dimension at most. */
async function rawModel(context: Context): Promise<ModelMetadata> {
  const metadata = await context.model();
  if (fitsRaw(metadata)) return metadata;
  if (!context.fixture) throw new Unproven('the model takes more than one input, or no fixed row: --fixture');
  return expectJson(await context.send({ method: 'GET', path: `/v2/models/${IDENTITY.FP32}` })) as never;
}

function fitsRaw({ inputs }: ModelMetadata): boolean {
  const [input, more] = inputs;
  if (input === undefined || more !== undefined || input.datatype === 'BYTES') return false;
  return input.shape.filter((dim) => dim === -1).length <= 1 && (input.shape[0] === -1 || input.shape[0] === 1);
}

async function checkDirections(context: Context, part: Part): Promise<void> {
  const metadata = await context.model();
  const path = inferPath(metadata.name);
  const entries = Object.entries(sampleInputs(metadata));
  const json = entries.map(([name, tensor]) => jsonTensor(name, tensor));
  const parts = entries.map(([name, tensor]) => binaryTensor(name, tensor));
  const items = parts.map(({ item }) => item);
  const blob = Buffer.concat(parts.map((one) => one.blob));
  const names = metadata.outputs.map(({ name }) => name);
  const asked = (binary: boolean) => names.map((name) => ({ name, parameters: { binary_data: binary } }));
  const expected = readTensors(await inferJson(context, path, { inputs: json })).outputs;
  const ask = (head: object, inBytes: boolean) =>
    inBytes
      ? inferBinary(context, path, { inputs: items, ...head }, blob)
      : inferJson(context, path, { inputs: json, ...head });

  const all = (binary: boolean) => ({ parameters: { binary_data_output: binary } });
  const cases: [title: string, head: object, inBytes: boolean, outBytes: boolean][] = [
    ['bytes in, JSON out', {}, true, false],
    ['JSON in, bytes out by binary_data', { outputs: asked(true) }, false, true],
    ['JSON in, bytes out by binary_data_output', all(true), false, true],
    ['bytes in and out', all(true), true, true],
    ['binary_data false against binary_data_output true', { ...all(true), outputs: asked(false) }, true, false],
    ['binary_data true against binary_data_output false', { ...all(false), outputs: asked(true) }, true, true],
  ];
  for (const [title, head, inBytes, outBytes] of cases)
    await part(title, async () => {
      const answer = await ask(head, inBytes);
      expectEqual(readTensors(answer).outputs, expected, 'the outputs');
      if (outBytes) expectBytes(answer);
      else expectNoBytes(answer);
    });
  if (entries.length > 1)
    await part('one input in bytes, the others in JSON', async () => {
      const head = { inputs: [items[0], ...json.slice(1)], parameters: { binary_data_output: true } };
      expectEqual(readTensors(await inferBinary(context, path, head, parts[0]!.blob)).outputs, expected, 'the outputs');
    });
  if (names.length > 1)
    await part('one output in bytes, the others in JSON', async () => {
      const [first, ...others] = asked(true);
      const outputs = [first, ...others.map(({ name }) => ({ name }))];
      const answer = await ask({ outputs }, true);
      expectBytes(answer);
      expectEqual(readTensors(answer).outputs, expected, 'the outputs');
    });
}

async function checkRaw(context: Context, part: Part): Promise<void> {
  const metadata = await rawModel(context);
  const path = inferPath(metadata.name);
  const [name, tensor] = Object.entries(sampleInputs(metadata))[0]!;
  const raw = (bytes: Uint8Array) =>
    context.send({
      method: 'POST',
      path,
      headers: { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: '0' },
      body: bytes,
    });
  await part('one row', async () => {
    const expected = readTensors(await inferJson(context, path, { inputs: [jsonTensor(name, tensor)] })).outputs;
    const answer = await raw(encodeTensor(tensor));
    expectBytes(answer);
    expectEqual(readTensors(answer).outputs, expected, 'the outputs');
  });
  await part('a byte less than a row', async () => expectError(await raw(encodeTensor(tensor).subarray(1)), 400));
  if (!context.fixture) return;
  await part('to a model with two inputs', async () => {
    const answer = await context.send({
      method: 'POST',
      path: inferPath((await context.model()).name),
      headers: { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: '0' },
      body: new Uint8Array(8),
    });
    expectError(answer, 400);
  });
}

async function checkSizes(context: Context, part: Part): Promise<void> {
  const metadata = await context.model();
  const path = inferPath(metadata.name);
  const entries = Object.entries(sampleInputs(metadata));
  const parts = entries.map(([name, tensor]) => binaryTensor(name, tensor));
  const inputs = parts.map(({ item }) => item);
  const blob = Buffer.concat(parts.map((one) => one.blob));
  const total = Buffer.byteLength(writeJson({ inputs })) + blob.length;
  for (const length of [
    '-1',
    '1.5',
    'x',
    '0x10',
    '',
    ' ',
    '1e3',
    String(total + 1),
    '9007199254740993',
    '99999999999999999999',
  ])
    await part(`${HEADER_LENGTH}: ${JSON.stringify(length)}`, async () =>
      expectError(await inferBinary(context, path, { inputs }, blob, { [HEADER_LENGTH]: length }), 400),
    );
  await part('a byte too many', async () =>
    expectError(await inferBinary(context, path, { inputs }, Buffer.concat([blob, Buffer.of(0)])), 400),
  );
  await part('a byte too few', async () =>
    expectError(await inferBinary(context, path, { inputs }, blob.subarray(1)), 400),
  );
  const [name, tensor] = entries[0] as [string, AnyTensor];
  const sized = (size: unknown, extra = {}) => [
    binaryTensor(name, tensor, { parameters: { binary_data_size: size }, ...extra }).item,
    ...inputs.slice(1),
  ];
  const size = encodeTensor(tensor).length;
  for (const wrong of [size + 1, size - 1, 0, -1, 1.5, '8', 2 ** 53, null])
    await part(`binary_data_size ${JSON.stringify(wrong)} for ${size} bytes`, async () => {
      // As many bytes as the size says, if it is valid.
      const length = typeof wrong === 'number' && wrong >= 0 && wrong <= size + 1 ? Math.floor(wrong) : size;
      const bytes = Buffer.concat([Buffer.alloc(length), ...parts.slice(1).map((one) => one.blob)]);
      expectError(await inferBinary(context, path, { inputs: sized(wrong) }, bytes), 400);
    });
  await part('bytes and data', async () => {
    const { data } = jsonTensor(name, tensor) as { data: unknown };
    expectError(await inferBinary(context, path, { inputs: sized(size, { data }) }, blob), 400);
  });
  await part('binary_data_size without any bytes', async () =>
    expectError(await inferJson(context, path, { inputs }), 400),
  );
}

/** The binary tensor data extension. */
export const BINARY_CHECKS: readonly Check[] = [
  {
    number: 23,
    title: 'bytes in, bytes out, and both mixed with JSON; the lengths in the headers are exact',
    binary: true,
    run: checkDirections,
  },
  { number: 24, title: 'a raw body (header length 0) is the one input of a model', binary: true, run: checkRaw },
  { number: 25, title: 'lengths and sizes that do not add up are 400', binary: true, run: checkSizes },
];
