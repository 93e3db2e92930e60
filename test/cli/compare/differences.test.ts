import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectDifferences } from '../../../functions/cli/compare/differences.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { float32 } from '../../helpers/tensors.ts';

const FLOATS = { name: 'y', dtype: 'float32', shape: [-1, 2] } as const;

test('the largest and the mean difference are over the elements of all rows', () => {
  const collector = collectDifferences(FLOATS);
  collector.add(float32([1, 2], [4, 0.5]), float32([1, 2], [6, 0.5]));
  collector.add(float32([1, 2], [0, -1]), float32([1, 2], [0.25, -1]));
  assert.deepEqual(collector.summary(), {
    output: 'y',
    elements: 4,
    unequal: 2,
    otherShapes: 0,
    difference: { largest: 2, mean: 2.25 / 4, largestRelative: 0.5, meanRelative: 0.75 / 4 },
  });
});

test('NaN equals NaN, and a number beside NaN or infinity differs without bound', () => {
  const collector = collectDifferences(FLOATS);
  const [nan, infinity] = [Number.NaN, Number.POSITIVE_INFINITY];
  collector.add(float32([1, 2], [nan, infinity]), float32([1, 2], [nan, infinity]));
  assert.equal(collector.summary().difference?.largest, 0);
  collector.add(float32([1, 2], [nan, 1]), float32([1, 2], [1, infinity]));
  const { difference, unequal } = collector.summary();
  assert.equal(unequal, 2);
  assert.deepEqual([difference?.largest, difference?.meanRelative], [infinity, infinity]);
});

test('float16 elements are compared as numbers', () => {
  const half = (...values: number[]): Tensor => {
    const { buffer } = Float16Array.from(values);
    return { dtype: 'float16', dims: [1, values.length], data: new Uint16Array(buffer) };
  };
  const collector = collectDifferences({ name: 'y', dtype: 'float16', shape: [-1, 2] });
  collector.add(half(1, 2), half(1.5, 2));
  assert.equal(collector.summary().difference?.largest, 0.5);
});

test('integers and texts are equal or not', () => {
  const collector = collectDifferences({ name: 'label', dtype: 'int64', shape: [-1] });
  collector.add(
    { dtype: 'int64', dims: [2], data: BigInt64Array.of(1n, 2n) },
    { dtype: 'int64', dims: [2], data: BigInt64Array.of(1n, 3n) },
  );
  assert.deepEqual(collector.summary(), { output: 'label', elements: 2, unequal: 1, otherShapes: 0 });
});

test('a row whose output has another shape is counted, and its elements are not', () => {
  const collector = collectDifferences(FLOATS);
  collector.add(float32([1, 2], [1, 2]), float32([1, 3], [1, 2, 3]));
  const { elements, otherShapes, difference } = collector.summary();
  assert.deepEqual([elements, otherShapes, difference?.mean], [0, 1, 0]);
});
