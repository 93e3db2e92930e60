import type { AnyTensor, ModelMetadata } from '../../../clients/typescript/src/client.ts';
import { writeJson } from '../../../clients/typescript/src/json.ts';
import { type Check, type Context, Unproven } from '../check.ts';
import { expect, expectEqual, expectError } from '../expect.ts';
import {
  binaryTensor,
  type Extra,
  HEADER_LENGTH,
  inferBinary,
  inferJson,
  inferPath,
  jsonTensor,
  readTensors,
} from '../infer-call.ts';
import { type Inputs, sampleInputs } from '../sample.ts';

interface Sample {
  readonly metadata: ModelMetadata;
  readonly path: string;
  readonly inputs: Inputs;
  readonly entries: readonly [string, AnyTensor][];
  readonly first: readonly [string, AnyTensor];
}

async function sampleOf(context: Context): Promise<Sample> {
  const metadata = await context.model();
  const inputs = sampleInputs(metadata);
  const entries = Object.entries(inputs);
  return { metadata, path: inferPath(metadata.name), inputs, entries, first: entries[0]! };
}

/** Sends the same request as JSON and, if the server accepts it, as binary data: `inputs` gives its tensors from their items. */
async function bothWays(
  context: Context,
  part: (title: string, run: () => Promise<unknown>) => Promise<void>,
  title: string,
  tensors: readonly (readonly [string, AnyTensor, Extra?])[],
  check: (answer: Awaited<ReturnType<typeof inferJson>>) => void,
): Promise<void> {
  const path = inferPath((await context.model()).name);
  await part(`${title}, json`, async () => {
    const inputs = tensors.map(([name, tensor, extra]) => jsonTensor(name, tensor, extra));
    check(await inferJson(context, path, { inputs }));
  });
  if (!(await context.hasBinary())) return;
  await part(`${title}, binary`, async () => {
    const parts = tensors.map(([name, tensor, extra]) => binaryTensor(name, tensor, extra));
    const blob = Buffer.concat(parts.map((one) => one.blob));
    check(await inferBinary(context, path, { inputs: parts.map(({ item }) => item) }, blob));
  });
}

/** Content types that clients send with an infer request, such as curl's default and that of HTML forms. */
const CONTENT_TYPES = [
  undefined,
  'application/json; charset=utf-8',
  'Application/JSON',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'text/plain',
] as const;

const MALFORMED: readonly (string | Uint8Array)[] = [
  '{',
  '{"inputs":[}',
  '{"inputs":[],}',
  '{"inputs":[]} x',
  "{'inputs':[]}",
  '{"inputs":NaN}',
  '{"inputs":"\u0001"}',
  'inputs',
  Uint8Array.of(0x22, 0xff, 0xfe, 0x22),
];

const OTHER_VALUES = ['null', '[]', '"x"', '1', ''];

/** Checks of requests that are refused. */
export const REQUEST_CHECKS: readonly Check[] = [
  {
    number: 8,
    title: 'GET on infer is 405 with Allow: POST and a JSON error',
    async run(context, part) {
      const { path } = await sampleOf(context);
      await part('GET', async () => {
        const answer = await context.send({ method: 'GET', path });
        expectError(answer, 405);
        const allow = (answer.headers.allow ?? '').split(',').map((verb) => verb.trim());
        expect(allow.includes('POST'), `Allow: expected POST, got ${answer.headers.allow ?? 'none'}`);
      });
    },
  },
  {
    number: 9,
    title: 'malformed JSON is 400 with a JSON error',
    async run(context, part) {
      const { path } = await sampleOf(context);
      for (const body of MALFORMED) {
        const title = typeof body === 'string' ? JSON.stringify(body) : 'bytes that are no UTF-8';
        await part(title, async () => expectError(await inferJson(context, path, body), 400));
      }
      if (!(await context.hasBinary())) return;
      await part('in front of bytes', async () => expectError(await inferBinary(context, path, '{"inputs":[}'), 400));
    },
  },
  {
    number: 10,
    title: 'a body that is no object is 400 with a JSON error',
    async run(context, part) {
      const { path } = await sampleOf(context);
      const binary = await context.hasBinary();
      for (const body of OTHER_VALUES) {
        await part(body || 'empty', async () => expectError(await inferJson(context, path, body), 400));
        if (!binary || body === '') continue;
        await part(`${body} in front of bytes`, async () => expectError(await inferBinary(context, path, body), 400));
      }
      if (!binary) return;
      await part('no JSON and no bytes', async () => {
        const headers = { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: '0' };
        expectError(await context.send({ method: 'POST', path, headers, body: '' }), 400);
      });
    },
  },
  {
    number: 11,
    title: 'inputs that are missing, empty, unknown or given twice are 400, and named',
    async run(context, part) {
      const { path, entries, first } = await sampleOf(context);
      for (const body of [{}, { inputs: null }, { inputs: {} }, { inputs: [null] }, { inputs: [{}] }])
        await part(JSON.stringify(body), async () => expectError(await inferJson(context, path, body), 400, ['input']));
      await part('no inputs', async () => expectError(await inferJson(context, path, { inputs: [] }), 400));
      for (const [name] of entries.length > 1 ? entries : []) {
        const rest = entries.filter(([other]) => other !== name);
        await bothWays(context, part, `${name} is missing`, rest, (answer) => expectError(answer, 400, [name]));
      }
      const unknown = ['no-such-input', first[1]] as const;
      await bothWays(context, part, 'an unknown one', [...entries, unknown], (answer) =>
        expectError(answer, 400, [unknown[0]]),
      );
      await bothWays(context, part, 'one twice', [...entries, first], (answer) => expectError(answer, 400, [first[0]]));
    },
  },
  {
    number: 12,
    title: 'a wrong datatype, rank or dimension is 400, with what is expected and what was sent',
    async run(context, part) {
      const { metadata, entries } = await sampleOf(context);
      const replaced = (name: string, tensor: AnyTensor) =>
        entries.map((entry) => (entry[0] === name ? ([name, tensor] as const) : entry));
      for (const [name, tensor] of entries) {
        const other = tensor.datatype === 'INT32' ? 'INT16' : 'INT32';
        const count = tensor.data.length;
        const data = other === 'INT32' ? new Int32Array(count) : new Int16Array(count);
        const wrong = { datatype: other, shape: tensor.shape, data } as AnyTensor;
        await bothWays(context, part, `${name} as ${other}`, replaced(name, wrong), (answer) =>
          expectError(answer, 400, [name, tensor.datatype, other]),
        );
        const deeper = { ...tensor, shape: [...tensor.shape, 1] } as AnyTensor;
        const numbers = (shape: readonly number[]): string[] => shape.map(String);
        await bothWays(context, part, `${name} of rank ${deeper.shape.length}`, replaced(name, deeper), (answer) =>
          expectError(answer, 400, [name, ...numbers(deeper.shape)]),
        );
      }
      const fixed = metadata.inputs.find(({ shape }) => shape.some((dim) => dim > 0));
      if (fixed === undefined) throw new Unproven('no dimension of the model is fixed: --fixture');
      const at = fixed.shape.findIndex((dim) => dim > 0);
      const tensor = sampleInputs({ inputs: [{ ...fixed, shape: fixed.shape.with(at, fixed.shape[at]! + 6) }] })[
        fixed.name
      ]!;
      const named = [fixed.name, String(fixed.shape[at]), String(fixed.shape[at]! + 6)];
      await bothWays(context, part, `${fixed.name} as [${tensor.shape}]`, replaced(fixed.name, tensor), (answer) =>
        expectError(answer, 400, named),
      );
    },
  },
  {
    number: 13,
    title: 'a shape that does not hold as many elements as data, or ragged data, is 400',
    async run(context, part) {
      const { path, inputs, entries, first } = await sampleOf(context);
      const [name, tensor] = first;
      const elements = jsonTensor(name, tensor) as { data: unknown[] };
      const others = entries.slice(1).map(([other, one]) => jsonTensor(other, one));
      const cases: [string, unknown][] = [
        ['one element more', [...elements.data, elements.data[0]]],
        ['one element less', elements.data.slice(1)],
        ['a ragged array', [[elements.data[0]], [elements.data[0], [elements.data[0]]]]],
        ['an array in an array of elements', [[...elements.data], elements.data[0]]],
        ['no array', elements.data[0]],
        ['no data', undefined],
      ];
      for (const [title, data] of cases)
        await part(title, async () => {
          const body = { inputs: [jsonTensor(name, inputs[name]!, { data }), ...others] };
          expectError(await inferJson(context, path, body), 400);
        });
      for (const shape of [[-1], ['1'], [1.5], 'x', null])
        await part(`shape ${JSON.stringify(shape)}`, async () => {
          const body = { inputs: [jsonTensor(name, inputs[name]!, { shape }), ...others] };
          expectError(await inferJson(context, path, body), 400);
        });
    },
  },
  {
    number: 32,
    title: 'a request is read whatever its content type says, and without one',
    async run(context, part) {
      const { path, entries } = await sampleOf(context);
      const body = writeJson({ inputs: entries.map(([name, tensor]) => jsonTensor(name, tensor)) });
      const { outputs } = readTensors(await inferJson(context, path, body));
      for (const type of CONTENT_TYPES)
        await part(type ?? 'none', async () => {
          const headers = type === undefined ? {} : { 'Content-Type': type };
          expectEqual(
            readTensors(await context.send({ method: 'POST', path, headers, body })).outputs,
            outputs,
            'the outputs',
          );
        });
    },
  },
];
