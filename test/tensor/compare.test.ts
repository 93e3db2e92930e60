import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDifference, sliceRows, syntheticTensor } from '../../functions/tensor/compare.ts';
import { DTYPES, type DType, elementCount, type Tensor } from '../../functions/tensor/tensor.ts';
import { float32 } from '../helpers/tensors.ts';

const doubles = (...values: number[]): Tensor => ({
  dtype: 'float64',
  dims: [values.length],
  data: Float64Array.from(values),
});

const PAIRS: [title: string, expected: number, got: number, tolerance: number, same: boolean][] = [
  ['equal', 1.5, 1.5, 0, true],
  ['within the tolerance', 0.5, 0.50009, 1e-4, true],
  ['beyond it', 0.5, 0.5002, 1e-4, false],
  ['below 1 the tolerance is absolute', 1e-6, 9e-5, 1e-4, true],
  ['above 1 it is relative', 1000, 1000.09, 1e-4, true],
  ['above 1 it is relative to the expected', 1000, 1000.2, 1e-4, false],
  ['negative numbers', -1000, -1000.2, 1e-4, false],
  ['zeros of both signs', 0, -0, 0, true],
  ['NaN and NaN', Number.NaN, Number.NaN, 0, true],
  ['NaN and a number', Number.NaN, 1, 1e9, false],
  ['a number and NaN', 1, Number.NaN, 1e9, false],
  ['infinities of one sign', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, true],
  ['infinities of both signs', Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-4, false],
  ['an infinity and a number', Number.POSITIVE_INFINITY, 5, 1e-4, false],
  ['a number and an infinity', 5, Number.NEGATIVE_INFINITY, 1e-4, false],
];

for (const [title, expected, got, tolerance, same] of PAIRS) {
  test(`${title}: ${same ? 'the same' : 'different'}`, () => {
    assert.equal(findDifference(doubles(expected), doubles(got), tolerance) === undefined, same);
  });
}

test('a difference has its place, the expected and the actual value, and the distance', () => {
  const difference = findDifference(float32([2, 2], [1, 2, 3, 4]), float32([2, 2], [1, 2, 3.5, 9]), 1e-4);
  assert.deepEqual(difference, { at: 2, expected: '3', got: '3.5', by: 0.5 });
});

test('shapes must be equal', () => {
  assert.deepEqual(findDifference(float32([2], [1, 2]), float32([1, 2], [1, 2]), 1), {
    at: 0,
    expected: 'shape [2]',
    got: 'shape [1,2]',
    by: Number.NaN,
  });
});

test('integers, strings and booleans must be equal, whatever the tolerance', () => {
  const pairs: [DType, Tensor['data'], Tensor['data']][] = [
    ['int64', BigInt64Array.of(2n ** 53n), BigInt64Array.of(2n ** 53n + 1n)],
    ['int32', Int32Array.of(1), Int32Array.of(2)],
    ['bool', Uint8Array.of(0), Uint8Array.of(1)],
    ['string', ['a'], ['b']],
  ];
  for (const [dtype, left, right] of pairs) {
    assert.equal(
      findDifference({ dtype, dims: [1], data: left }, { dtype, dims: [1], data: right }, 1e9)?.at,
      0,
      dtype,
    );
    assert.equal(
      findDifference({ dtype, dims: [1], data: left }, { dtype, dims: [1], data: left }, 0),
      undefined,
      dtype,
    );
  }
});

test('float16 is compared by value, not by its bits', () => {
  const half = (bits: number): Tensor => ({ dtype: 'float16', dims: [1], data: Uint16Array.of(bits) });
  assert.equal(findDifference(half(0x3c00), half(0x3c01), 1e-2), undefined);
  assert.deepEqual(findDifference(half(0x3c00), half(0x4000), 1e-2), { at: 0, expected: '1', got: '2', by: 1 });
  assert.equal(findDifference(half(0x7e00), half(0x7e01), 0), undefined, 'NaNs of different bits');
});

test('a slice has the requested rows, of numbers and of strings', () => {
  assert.deepEqual(sliceRows(float32([3, 2], [1, 2, 3, 4, 5, 6]), 1, 2), float32([2, 2], [3, 4, 5, 6]));
  const strings: Tensor = { dtype: 'string', dims: [3], data: ['a', 'b', 'c'] };
  assert.deepEqual(sliceRows(strings, 2, 1), { dtype: 'string', dims: [1], data: ['c'] });
});

for (const dtype of Object.keys(DTYPES) as DType[]) {
  test(`synthetic values of ${dtype} fill the shape, are small, and differ between three rows`, () => {
    const rows = [0, 1, 2].map((row) => syntheticTensor(dtype, [1, 2, 3], row));
    for (const { data, dims } of rows) {
      assert.deepEqual([data.length, data.constructor], [elementCount(dims), DTYPES[dtype].make(0).constructor]);
      const numbers = dtype === 'float16' ? new Float16Array((data as Uint16Array).buffer) : data;
      for (const value of numbers)
        if (dtype !== 'string') assert.ok(Number(value) >= 0 && Number(value) <= 2, `${value}`);
    }
    assert.ok(findDifference(rows[0]!, rows[1]!, 1e-3));
    if (dtype !== 'bool') for (const i of [0, 1]) assert.ok(findDifference(rows[i]!, rows[2]!, 1e-3));
  });
}
