import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  classify,
  hasScores,
  withoutScores,
} from '../../../../functions/routes/open-inference/triton/classification.ts';
import type { DType, Tensor, TensorData } from '../../../../functions/tensor/tensor.ts';

const here = () => false;

interface Asked {
  readonly count: number;
  readonly joinsRows?: boolean;
  readonly shape?: readonly number[];
  readonly labels?: readonly string[];
  readonly cancelled?: () => boolean;
}

function ask(dtype: DType, dims: readonly number[], data: TensorData, asked: Asked): Promise<Tensor> {
  const { count, joinsRows = true, shape = [-1, ...dims.slice(1)], labels, cancelled = here } = asked;
  const spec = { name: 'y', dtype, shape };
  return classify({ tensor: { dtype, dims, data }, spec, joinsRows, labels }, count, cancelled);
}
const floats = (...values: number[]) => Float32Array.from(values);

test('the highest scores of each row come as score:index, the highest first', async () => {
  const two = await ask('float32', [2, 3], floats(0.25, 0.5, -1, 7, 9, 8), { count: 2 });
  assert.deepEqual(two, {
    dtype: 'string',
    dims: [2, 2],
    data: ['0.500000:1', '0.250000:0', '9.000000:1', '8.000000:2'],
  });
});

test('labels are appended if there is one for each element of a row, and only then', async () => {
  const labels = ['a', 'b', 'c'];
  assert.deepEqual((await ask('int32', [1, 3], Int32Array.of(1, 10, 5), { count: 2, labels })).data, [
    '10:1:b',
    '5:2:c',
  ]);
  assert.deepEqual((await ask('int32', [1, 2], Int32Array.of(1, 10), { count: 2, labels })).data, ['10:1', '1:0']);
});

test('more classes than there are give all of them', async () => {
  const { dims, data } = await ask('float64', [2, 1], Float64Array.of(1.5, 2), { count: 9 });
  assert.deepEqual(
    [dims, data],
    [
      [2, 1],
      ['1.500000:0', '2.000000:0'],
    ],
  );
});

test('further dimensions of a row count as one', async () => {
  const { dims, data } = await ask('uint8', [1, 2, 2], Uint8Array.of(1, 4, 3, 2), { count: 3 });
  assert.deepEqual(
    [dims, data],
    [
      [1, 3],
      ['4:1', '3:2', '2:3'],
    ],
  );
});

test('without a batch dimension all of an output is ranked', async () => {
  const fixed = { count: 2, joinsRows: false, shape: [1, 3] };
  const { dims, data } = await ask('float32', [1, 3], floats(1, 3, 2), fixed);
  assert.deepEqual([dims, data], [[2], ['3.000000:1', '2.000000:2']]);
  const free = await ask('float32', [2, 2], floats(1, 3, 2, 0), { count: 1, joinsRows: false, shape: [-1, 2] });
  assert.deepEqual(
    [free.dims, free.data],
    [
      [2, 1],
      ['3.000000:1', '2.000000:0'],
    ],
  );
});

test('no rows have no classes', async () => {
  const { dims, data } = await ask('float32', [0, 3], floats(), { count: 2 });
  assert.deepEqual([dims, data], [[0, 2], []]);
});

test('of equal scores the lower index comes first, and NaN comes last', async () => {
  const scores = floats(Number.NaN, 1, Number.NEGATIVE_INFINITY, 1, Number.POSITIVE_INFINITY);
  const { data } = await ask('float32', [1, 5], scores, { count: 5 });
  assert.deepEqual(data, ['inf:4', '1.000000:1', '1.000000:3', '-inf:2', 'nan:0']);
});

test('integers keep every digit, and float16 and huge numbers are read as what they are', async () => {
  const big = BigInt64Array.of(9_007_199_254_740_993n, -1n);
  assert.deepEqual((await ask('int64', [1, 2], big, { count: 1 })).data, ['9007199254740993:0']);
  const half = new Uint16Array(Float16Array.of(0.5, 2).buffer);
  assert.deepEqual((await ask('float16', [1, 2], half, { count: 1 })).data, ['2.000000:1']);
  assert.deepEqual((await ask('float64', [1, 1], Float64Array.of(1e22), { count: 1 })).data, [
    '10000000000000000000000.000000:0',
  ]);
});

test('the highest of any scores are what sorting all of them gives', async () => {
  const scores = fc.array(fc.float({ noNaN: false }), { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(scores, fc.integer({ min: 1, max: 70 }), async (values, count) => {
      const data = Float32Array.from(values);
      const sorted = [...data.keys()].sort((a, b) => {
        const [one, other] = [data[a]!, data[b]!];
        if (Number.isNaN(one) || Number.isNaN(other))
          return Number(Number.isNaN(one)) - Number(Number.isNaN(other)) || a - b;
        return one === other ? a - b : other > one ? 1 : -1;
      });
      const { data: texts } = await ask('float32', [1, data.length], data, { count });
      const indices = (texts as string[]).map((text) => Number(text.split(':')[1]));
      assert.deepEqual(indices, sorted.slice(0, count));
    }),
  );
});

test('more classes than one answer may have are refused before any is looked for', async () => {
  const data = new Float32Array(400 * 400);
  await assert.rejects(ask('float32', [400, 400], data, { count: 400 }), {
    code: 'INVALID_INPUT',
    message: /^classification: expected at most 100000 classes in one response, got 400 rows with 400 each/,
  });
});

test('the classification of a long output ends when its request is cancelled', async () => {
  let turns = 0;
  const cancelled = () => ++turns > 1;
  const { dims } = await ask('float32', [1, 1_000_000], new Float32Array(1_000_000), { count: 1, cancelled });
  assert.deepEqual([turns, dims], [2, [0, 1]]);
});

test('texts and booleans have no scores', () => {
  assert.deepEqual([hasScores('string'), hasScores('bool'), hasScores('float16')], [false, false, true]);
  assert.match(withoutScores('string'), /unsupported type 'BYTES'$/);
});
