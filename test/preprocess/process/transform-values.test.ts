import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerOf, feedsOf, outputsOf, parseBody } from '../../../functions/preprocess/process/transform-values.ts';
import type { DType, TensorSpec } from '../../../functions/tensor/tensor.ts';

const spec = (dtype: DType, shape: readonly number[]): TensorSpec => ({ name: 'x', dtype, shape });
const tensorOf = (x: unknown, one: TensorSpec) => feedsOf({ x }, { inputs: [one], outputs: [] })[0]!;

for (const [what, given, one, dims, data] of [
  ['a row', [1, 2], spec('float32', [-1, 2]), [1, 2], Float32Array.of(1, 2)],
  ['a row with the leading 1', [[1, 2]], spec('float32', [-1, 2]), [1, 2], Float32Array.of(1, 2)],
  ['a row of a free length', [1, 2, 3], spec('int32', [-1, -1]), [1, 3], Int32Array.of(1, 2, 3)],
  ['a value of a column', 7, spec('float32', [-1, 1]), [1, 1], Float32Array.of(7)],
  ['a scalar row', 7n, spec('int64', [-1]), [1], BigInt64Array.of(7n)],
  ['texts', ['a', 'b'], spec('string', [-1, 2]), [1, 2], ['a', 'b']],
  ['booleans', [true, false], spec('bool', [-1, 2]), [1, 2], Uint8Array.of(1, 0)],
  ['typed arrays in arrays', [Float32Array.of(1), [2]], spec('float64', [-1, 2, 1]), [1, 2, 1], Float64Array.of(1, 2)],
  ['a typed array', Float32Array.of(1, 2), spec('float32', [-1, -1]), [1, 2], Float32Array.of(1, 2)],
  ['a typed array of another type', Float64Array.of(1, 2), spec('int64', [1, 2]), [1, 2], BigInt64Array.of(1n, 2n)],
  [
    'data that is folded into the one free dimension',
    { data: [1, 2, 3, 4] },
    spec('uint8', [-1, -1, 2]),
    [1, 2, 2],
    Uint8Array.of(1, 2, 3, 4),
  ],
  [
    'a tensor without the leading 1',
    { dtype: 'float32', dims: [2, 1], data: Float32Array.of(1, 2) },
    spec('float32', [-1, -1, -1]),
    [1, 2, 1],
    Float32Array.of(1, 2),
  ],
  ['a tensor with it', { dims: [1, 2], data: [1, 2] }, spec('float32', [-1, 2]), [1, 2], Float32Array.of(1, 2)],
  ['halves', [1, 0.5], spec('float16', [-1, 2]), [1, 2], Uint16Array.of(0x3c00, 0x3800)],
  ['an input without rows', [1, 2, 3], spec('float32', [3]), [3], Float32Array.of(1, 2, 3)],
] as const) {
  test(`what preprocess returns becomes a tensor of one row: ${what}`, () => {
    assert.deepEqual(tensorOf(given, one), { dtype: one.dtype, dims, data });
  });
}

for (const [given, one, message] of [
  [undefined, spec('float32', [-1, 2]), /^preprocess: x: expected an array of 2 values, got the value undefined$/],
  [
    [
      [1, 2],
      [3, 4],
    ],
    spec('float32', [-1, 2]),
    /^preprocess: x: expected 1 array, got 2$/,
  ],
  [['a', 'b'], spec('float32', [-1, 2]), /^preprocess: x\[0\]: expected a number \(float32\), got "a"$/],
  [
    { data: [1, 2], dtype: 'int64' },
    spec('float32', [-1, 2]),
    /^preprocess: x: expected the dtype float32, got int64$/,
  ],
  [{ data: 1 }, spec('float32', [-1, 2]), /^preprocess: x\.data: expected an array, got number$/],
  [{ data: [1, 2, 3] }, spec('float32', [-1, 2]), /^preprocess: x: expected 2 elements for the dims \[1,2\], got 3$/],
  [
    { data: [1, 2, 3], dims: [3] },
    spec('float32', [-1, 2]),
    /^preprocess: x: expected the shape \[1,2\] of one row, got \[1,3\]$/,
  ],
  [
    { data: [1, 2, 3] },
    spec('float32', [-1, -1, 2]),
    /^preprocess: x: expected the shape \[1,-1,2\] of one row, got \[1,1\.5,2\]$/,
  ],
  [
    { data: [1], dims: ['1'] },
    spec('float32', [-1, 1]),
    /^preprocess: x\.dims: expected an array of integers from 0 on$/,
  ],
  [
    { data: [1, 2] },
    spec('float32', [-1, -1, -1]),
    /^preprocess: x: give dims: the input has several open dimensions, \[-1,-1,-1\]$/,
  ],
] as const) {
  test(`what preprocess returns is refused with its place: ${message.source}`, () => {
    assert.throws(() => tensorOf(given, one), { message });
  });
}

test('all inputs of the model are needed, and no others', () => {
  const signature = { inputs: [spec('float32', [-1, 1])], outputs: [] };
  assert.throws(
    () => feedsOf([1], signature),
    /^TypeError: preprocess: expected an object with the inputs x, got an array$/,
  );
  assert.throws(() => feedsOf(null, signature), /got null$/);
  assert.throws(() => feedsOf({}, signature), /^TypeError: preprocess: the input x is missing$/);
  assert.throws(
    () => feedsOf({ x: [1], y: 1 }, signature),
    /^TypeError: preprocess: the model has no input y; it has x$/,
  );
});

test('tensors are in memory of their own: that of the code stays as it is', () => {
  const shared = Float32Array.of(1, 2);
  assert.notEqual((tensorOf(shared, spec('float32', [-1, 2])).data as Float32Array).buffer, shared.buffer);
  const [output] = [{ dtype: 'float32', dims: [1, 2], data: shared }] as const;
  const { y } = outputsOf([output], { inputs: [], outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 2] }] });
  assert.notEqual((y!.data as Float32Array).buffer, shared.buffer);
});

test('halves are floats for postprocess', () => {
  const half = { dtype: 'float16', dims: [1, 2], data: Uint16Array.of(0x3c00, 0x3800) } as const;
  const { y } = outputsOf([half], { inputs: [], outputs: [{ name: 'y', dtype: 'float16', shape: [-1, 2] }] });
  assert.deepEqual(y, { dtype: 'float16', dims: [1, 2], data: Float32Array.of(1, 0.5) });
});

test('integers beyond 2^53 are bigints, all other numbers as JSON.parse gives them', () => {
  assert.deepEqual(parseBody('{"a":9007199254740993,"b":[-9007199254740993],"c":1.00000000000000001,"d":1e300}'), {
    a: 9007199254740993n,
    b: [-9007199254740993n],
    c: 1,
    d: 1e300,
  });
});

test('answers have typed arrays as arrays, floats in their own digits, and texts for what JSON has no number for', () => {
  const answer = {
    a: Float32Array.of(0.1, Number.NaN),
    b: BigInt64Array.of(2n ** 60n),
    c: Number.POSITIVE_INFINITY,
    d: undefined,
  };
  assert.equal(answerOf(answer), '{"a":[0.1,"NaN"],"b":[1152921504606846976],"c":"Infinity"}');
  assert.throws(() => answerOf(() => 1), /^TypeError: postprocess: expected a value that JSON has, got function$/);
});
