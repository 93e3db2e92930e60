import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../functions/engine/batch-rows.ts';
import { trimRow } from '../../functions/preprocess/text-outputs.ts';
import type { Tensor, TensorSpec } from '../../functions/tensor/tensor.ts';

/** A row of 3 tokens, padded to 8. */
const ROW: Feeds = {
  tensors: [
    { dtype: 'int32', dims: [1, 8], data: new Int32Array(8) },
    { dtype: 'uint8', dims: [1, 8], data: new Uint8Array(8) },
    { dtype: 'int32', dims: [1, 4], data: Int32Array.of(3, 3, 0, 0) },
  ],
  rows: 1,
};

function output(shape: readonly number[], dims: readonly number[]): [TensorSpec, Tensor] {
  const data = Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) => i);
  return [
    { name: 'y', dtype: 'float32', shape },
    { dtype: 'float32', dims, data },
  ];
}

test('outputs by token lose the values of the padding, of any rank; a dimension of the same size that is fixed stays', async () => {
  const given = [
    output([-1, -1], [1, 8]),
    output([-1, -1, 2], [1, 8, 2]),
    output([-1, 8, 2], [1, 8, 2]),
    output([-1, 12, -1], [1, 12, 8]),
    output([-1, 2], [1, 2]),
  ];
  const trimmed = await trimRow(
    ROW,
    given.map(([, tensor]) => tensor),
    given.map(([spec]) => spec),
    -1,
  );
  assert.deepEqual(
    trimmed.map(({ dims }) => dims),
    [
      [1, 3],
      [1, 3, 2],
      [1, 8, 2],
      [1, 12, 8],
      [1, 2],
    ],
  );
  assert.deepEqual(Array.from(trimmed[1]!.data as Float32Array), [0, 1, 2, 3, 4, 5]);
  const [spec, tensor] = given[2]!;
  const [ofOneLength] = await trimRow(ROW, [tensor], [spec], 8);
  assert.deepEqual(ofOneLength!.dims, [1, 3, 2]);
});
