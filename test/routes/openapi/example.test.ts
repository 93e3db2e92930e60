import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manifest } from '../../../functions/model/folder/manifest.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import { readInputs } from '../../../functions/routes/open-inference/inputs.ts';
import { makeExamples } from '../../../functions/routes/openapi/example.ts';
import { readTensorFlowBody } from '../../../functions/routes/tensorflow-serving/body.ts';
import { type JsonValue, readJson } from '../../../functions/tensor/json/reader.ts';
import { DTYPES, type DType, type TensorSpec } from '../../../functions/tensor/tensor.ts';
import { tensorSpec } from '../../helpers/generation-stub.ts';

function modelOf(inputs: readonly TensorSpec[], joinsRows = true, manifest: Manifest = {}) {
  const signature = { inputs, outputs: [] };
  return { signature, manifest, examples: [], rows: createRowDecoder(signature, manifest.input?.features, joinsRows) };
}
const reread = (value: unknown): JsonValue => readJson(Buffer.from(JSON.stringify(value)));

const spec = fc.record({
  dtype: fc.constantFrom(...(Object.keys(DTYPES) as DType[])),
  shape: fc.array(fc.constantFrom(-1, 1, 2, 3), { maxLength: 3 }),
});

test('the examples of all dialects are the same row, and each dialect reads its own', () => {
  fc.assert(
    fc.property(fc.array(spec, { minLength: 1, maxLength: 3 }), fc.boolean(), (specs, wantJoined) => {
      const inputs = specs.map(({ dtype, shape }, i) => tensorSpec(`x${i}`, dtype, ...shape));
      const joinsRows = wantJoined && inputs.every(({ shape }) => shape[0] === -1);
      const model = modelOf(inputs, joinsRows);
      const examples = makeExamples(model)!;
      const { tensors, isRow } = model.rows.decode(reread(examples.features), 'features');
      const hasRows = ({ shape }: TensorSpec): boolean => shape.length === 0 || shape[0] === -1 || shape[0] === 1;
      assert.equal(isRow, inputs.every(hasRows));
      assert.deepEqual(readInputs(reread(examples.tensors), model.signature, new Uint8Array()), tensors);
      const columns = readTensorFlowBody(reread({ inputs: examples.columns }) as never, model.rows);
      assert.deepEqual(columns.form === 'column' && columns.tensors, tensors);
    }),
  );
});

test("the manifest's example is shown as it was written, and is the row of the other dialects", () => {
  const manifest = { input: { features: ['age', 'weight'] }, example: { features: { weight: 2.5, age: 41 } } };
  const examples = makeExamples(modelOf([tensorSpec('x', 'float32', -1, 2)], true, manifest))!;
  assert.equal(JSON.stringify(examples.features), '{"weight":2.5,"age":41}');
  assert.deepEqual(examples.tensors, [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [41, 2.5] }]);
  assert.deepEqual(examples.columns, { x: [[41, 2.5]] });
});

test('open dimensions of an example that is made up have one element', () => {
  const { features, tensors } = makeExamples(modelOf([tensorSpec('x', 'uint8', -1, -1, 3)]))!;
  assert.deepEqual(tensors[0]!.shape, [1, 1, 3]);
  assert.deepEqual(
    (features as number[][]).map(({ length }) => length),
    [3],
    'the values of one input have no name',
  );
});

test('a model of pictures has a picture as the example, which each dialect reads', () => {
  const model = modelOf([{ ...tensorSpec('image', 'string', -1), bytes: true }]);
  const { features, tensors, columns } = makeExamples(model)!;
  const decoded = model.rows.decode(reread(features), 'features').tensors;
  assert.match((decoded[0]!.data as string[])[0]!, /^\x89PNG\r\n/);
  assert.deepEqual(readInputs(reread(tensors), model.signature, new Uint8Array()), decoded);
  const read = readTensorFlowBody(reread({ inputs: columns }) as never, model.rows);
  assert.deepEqual(read.form === 'column' && read.tensors, decoded);
});

test('a row of more than 1000 elements has no example', () => {
  const of = (shape: number[], features?: JsonValue) =>
    makeExamples(
      modelOf([tensorSpec('x', 'float32', ...shape)], true, features === undefined ? {} : { example: { features } }),
    );
  assert.notEqual(of([-1, 1000]), undefined);
  assert.equal(of([-1, 1001]), undefined);
  assert.equal(of([-1, 2 ** 20, 2 ** 20]), undefined, 'and none is made: there is no memory for it');
  assert.notEqual(of([-1, -1], new Array(1000).fill(1)), undefined);
  assert.equal(of([-1, -1], new Array(1001).fill(1)), undefined);
});

test('without an example in the manifest it is the first golden row', () => {
  const model = modelOf([tensorSpec('x', 'float32', -1, 2)]);
  const { features, tensors } = makeExamples({ ...model, examples: [{ features: [3, 4], outputs: {} }] })!;
  assert.deepEqual(features, [3, 4]);
  assert.deepEqual(tensors[0]!.data, [3, 4]);
});

test('a made-up picture is not of one pixel: an example of free sides is too large to be shown', () => {
  assert.equal(makeExamples(modelOf([tensorSpec('image', 'float32', -1, 3, -1, -1)])), undefined);
  assert.notEqual(makeExamples(modelOf([tensorSpec('ids', 'int64', -1, -1)])), undefined);
});

test('a made-up row has the first category of a feature, or of an input', () => {
  const input = { features: ['size', 'colour'], categories: { colour: [7, 8] } };
  assert.deepEqual(makeExamples(modelOf([tensorSpec('x', 'float32', -1, 2)], true, { input }))!.features, [0.1, 7]);
  const table = [tensorSpec('city', 'string', -1, 1), tensorSpec('id', 'int64', -1)];
  const categories = { city: ['Oslo', 'Rome'], id: [9_007_199_254_740_993n] };
  const { tensors } = makeExamples(modelOf(table, true, { input: { categories } }))!;
  assert.match(JSON.stringify(tensors), /"data":\["Oslo"\].*"data":\[9007199254740993\]/);
});

test('a made-up row has a category of any type of floats, also one that JSON gives as a long integer', () => {
  const features = (dtype: 'float16' | 'float32' | 'float64', value: number | bigint) => {
    const input = { categories: { x: [value] } };
    return JSON.stringify(makeExamples(modelOf([tensorSpec('x', dtype, -1, 1)], true, { input }))!.features);
  };
  assert.equal(features('float16', 1.5), '[1.5]');
  assert.equal(features('float32', 9_007_199_254_740_993n), '[9007199000000000]');
  assert.equal(features('float64', 9_007_199_254_740_993n), '[9007199254740992]');
});
