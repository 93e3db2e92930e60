import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IDENTITY, LOGARITHM } from '../../../scripts/conformance/fixture.ts';
import { checkValues } from '../../../scripts/fuzz/check-values.ts';
import type { Dialect, FuzzRequest, Signature } from '../../../scripts/fuzz/generate.ts';
import { SUM } from '../../../scripts/fuzz/models.ts';

const tensor = (name: string, datatype: string, ...shape: number[]) =>
  ({ name, datatype, shape }) as Signature['inputs'][number];
const oneToOne = (name: string, datatype: string): Signature => ({
  name,
  inputs: [tensor('x', datatype, -1, 2)],
  outputs: [tensor('y', datatype, -1, 2)],
});
const MODELS: readonly Signature[] = [
  oneToOne(IDENTITY.FP32, 'FP32'),
  oneToOne(IDENTITY.INT64, 'INT64'),
  oneToOne(IDENTITY.BYTES, 'BYTES'),
  oneToOne(LOGARITHM, 'FP32'),
  oneToOne('unknown', 'FP32'),
  {
    name: SUM,
    inputs: [tensor('a', 'FP32', -1, -1), tensor('b', 'FP32', -1, -1)],
    outputs: [tensor('c', 'FP32', -1, -1)],
  },
];

function check(dialect: Dialect, model: string, body: string | Buffer, answer: string, headers = {}, told = {}) {
  const request: FuzzRequest = {
    dialect,
    model,
    path: '/',
    headers: { 'Content-Type': dialect === 'batch-ndjson' ? 'application/x-ndjson' : 'application/json', ...headers },
    body: Buffer.from(body),
  };
  const type = dialect.startsWith('batch') ? 'application/x-ndjson' : 'application/json';
  const bytes = new Uint8Array(Buffer.from(answer, 'latin1'));
  const reply = { status: 200, headers: { 'content-type': type, ...told }, bytes, text: answer };
  return checkValues(request, reply, MODELS);
}

const LINE = (index: number, values: string): string =>
  `{"index":${index},"prediction":${values},"outputs":{"y":${values}}}\n`;
const DONE = '{"done":true,"ok":2,"failed":0}\n';
const INFER = (member: string, data: string, datatype = 'FP32') =>
  `{"${member}":[{"name":"${member === 'inputs' ? 'x' : 'y'}","datatype":"${datatype}","shape":[1,2],"data":${data}}]}`;

/** For each dialect: a body, the right answer, and one with another row's values. */
const CASES: [dialect: Dialect, model: string, body: string, right: string, wrong: string][] = [
  ['predict', IDENTITY.FP32, '{"features":[1,0.1]}', '{"outputs":{"y":[1,0.1]}}', '{"outputs":{"y":[2,0.1]}}'],
  [
    'model-predict',
    IDENTITY.INT64,
    '{"features":{"x":[9007199254740993,1e3]}}',
    '{"outputs":{"y":[9007199254740993,1000]}}',
    '{"outputs":{"y":[9007199254740992,1000]}}',
  ],
  [
    'batch-json',
    IDENTITY.FP32,
    '{"instances":[[1,2],[3,4]]}',
    LINE(0, '[1,2]') + LINE(1, '[3,4]') + DONE,
    LINE(0, '[1,2]') + LINE(1, '[1,2]') + DONE,
  ],
  [
    'batch-ndjson',
    IDENTITY.FP32,
    '{"features":[1,2]}\n\r\n{"features":[3,4]}\n',
    LINE(0, '[1,2]') + LINE(1, '[3,4]') + DONE,
    LINE(0, '[1,2]') + DONE,
  ],
  [
    'infer-json',
    IDENTITY.FP32,
    INFER('inputs', '[NaN,-Infinity]'),
    INFER('outputs', '["NaN","-Infinity"]'),
    INFER('outputs', '["NaN",1]'),
  ],
  ['infer-json', LOGARITHM, INFER('inputs', '[1,2]'), INFER('outputs', '[0,0.6931472]'), INFER('outputs', '[0,0.69]')],
  [
    'tfs-instances',
    IDENTITY.BYTES,
    '{"instances":[["a",{"b64":"w6k="}]]}',
    '{"predictions":[["a","é"]]}',
    '{"predictions":[["é","a"]]}',
  ],
  ['tfs-inputs', SUM, '{"inputs":{"a":[[1,2]],"b":[[3,4]]}}', '{"outputs":[[4,6]]}', '{"outputs":[[4,7]]}'],
  [
    'vertex',
    IDENTITY.FP32,
    '{"instances":[[1,2]]}',
    '{"predictions":[{"outputs":{"y":[1,2]}}]}',
    '{"predictions":[{"outputs":{"y":[2,1]}}]}',
  ],
];
for (const [dialect, model, body, right, wrong] of CASES) {
  test(`${dialect} of ${model}: the model's values are no fault, others are`, () => {
    assert.equal(check(dialect, model, body, right).fault, undefined);
    assert.notEqual(check(dialect, model, body, wrong).fault, undefined);
  });
}

test('binary tensors are compared byte for byte, whichever side is binary', () => {
  const bytes = Buffer.from(Float32Array.of(1.5, -2).buffer);
  const head = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}]}';
  const header = { 'Inference-Header-Content-Length': String(head.length) };
  const body = Buffer.concat([Buffer.from(head), bytes]);
  assert.equal(check('infer-binary', IDENTITY.FP32, body, INFER('outputs', '[1.5,-2]'), header).fault, undefined);
  assert.match(
    check('infer-binary', IDENTITY.FP32, body, INFER('outputs', '[1.5,2]'), header).fault!,
    /expected 1.5,-2/,
  );
  const outHead = head.replace('inputs', 'outputs').replace('"x"', '"y"');
  const told = { 'inference-header-content-length': String(outHead.length) };
  const raw = { 'Inference-Header-Content-Length': '0' };
  const answer = outHead + bytes.toString('latin1');
  assert.equal(check('infer-raw', IDENTITY.FP32, bytes, answer, raw, told).fault, undefined);
  assert.notEqual(check('infer-raw', IDENTITY.FP32, Buffer.alloc(8), answer, raw, told).fault, undefined);
});

test('rows of a model that is not known are kept, each with its own part of the outputs', () => {
  const { fault, lone } = check('tfs-inputs', 'unknown', '{"inputs":[[1,2],[3,"NaN"]]}', '{"outputs":[[5,6],[7,8]]}');
  assert.equal(fault, undefined);
  assert.deepEqual(
    lone.map(({ features, outputs }) => [features, outputs.get('y')!.values]),
    [
      ['[1,2]', ['5', '6']],
      ['[3,"NaN"]', ['7', '8']],
    ],
  );
});

test('a response of 200 to a body that is not JSON is a fault', () => {
  assert.match(
    check('predict', IDENTITY.FP32, '{"features":[1,2]', '{"outputs":{"y":[1,2]}}').fault!,
    /could not be compared/,
  );
});
