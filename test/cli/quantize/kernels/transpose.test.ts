import assert from 'node:assert/strict';
import { test } from 'node:test';
import { transposeMatrices } from '../../../../functions/cli/quantize/kernels/transpose.ts';

test('each matrix is transposed by itself, also beyond one square', () => {
  const [count, rows, columns] = [2, 70, 130];
  const values = Float32Array.from({ length: count * rows * columns }, (_, i) => i);
  const result = transposeMatrices(values, count, rows, columns);
  for (const [matrix, row, column] of [
    [0, 0, 0],
    [0, 69, 129],
    [1, 65, 3],
    [1, 2, 128],
  ] as const) {
    const from = matrix * rows * columns + row * columns + column;
    assert.equal(result[matrix * rows * columns + column * rows + row], from);
  }
});
