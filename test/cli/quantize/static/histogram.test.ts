import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addValues, createHistogram } from '../../../../functions/cli/quantize/static/histogram.ts';

test('a value belongs to the bin whose first edge is not above it, and the last edge to the last bin', () => {
  const histogram = createHistogram(4, -2, 2);
  assert.deepEqual([...histogram.edges], [-2, -1, 0, 1, 2]);
  addValues(histogram, Float32Array.of(-2, -1.5, -1, 0.5, 1, 2));
  addValues(histogram, Float32Array.of(1.5, -3, 3, Number.NaN));
  assert.deepEqual([...histogram.counts], [2, 1, 1, 3]);
});

test('the edges decide, where the rounded product does not', () => {
  const histogram = createHistogram(10, 0, 1);
  for (const edge of histogram.edges.subarray(1, 10)) addValues(histogram, Float32Array.of(edge));
  assert.deepEqual([...histogram.counts], [0, ...new Array(9).fill(1)]);
});

test('zeros are not counted among signed values, because every quantization has them exactly; among magnitudes they are', () => {
  const [signed, magnitudes] = [createHistogram(2, -1, 1), createHistogram(2, 0, 1)];
  const values = Float32Array.of(0, 0, -1, 0.25);
  addValues(signed, values);
  addValues(magnitudes, values, true);
  assert.deepEqual(
    [[...signed.counts], [...magnitudes.counts]],
    [
      [1, 1],
      [3, 1],
    ],
  );
});

test('equal edges are half a unit apart from the value', () => {
  assert.deepEqual([...createHistogram(2, 3, 3).edges], [2.5, 3, 3.5]);
});
