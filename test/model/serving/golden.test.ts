import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowDecoder, type RowFeeds } from '../../../functions/model/folder/rows.ts';

import { checkGolden } from '../../../functions/model/serving/golden.ts';
import type { Signature, Tensor } from '../../../functions/tensor/tensor.ts';
import { float32 } from '../../helpers/tensors.ts';

const SIGNATURE: Signature = {
  inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 2] }],
  outputs: [
    { name: 'label', dtype: 'int64', shape: [-1] },
    { name: 'scores', dtype: 'float32', shape: [-1, 2] },
  ],
};
const decoder = createRowDecoder(SIGNATURE, undefined, true);

/** `label` 7 and the values fed as `scores`. */
const run = ({ tensors }: RowFeeds): Promise<Tensor[]> => {
  const label: Tensor = { dtype: 'int64', dims: [1], data: BigInt64Array.of(7n) };
  return Promise.resolve([label, float32([1, 2], Array.from(tensors[0]!.data as Float32Array))]);
};

const check = (outputs: Record<string, unknown>, tolerance = 1e-4, features: unknown = [0.5, 2]) =>
  checkGolden(
    { tolerance, rows: [{ features: [0.5, 2], outputs: {} }, { features, outputs } as never] },
    SIGNATURE,
    decoder,
    run,
  );

test('golden rows with equal outputs pass, by the outputs that they name', async () => {
  await check({});
  await check({ label: 7 });
  await check({ scores: [0.50009, 2.0001] });
  await check({ label: 7, scores: [0.5, 2] }, 0);
});

const FAILING: [title: string, outputs: Record<string, unknown>, message: RegExp][] = [
  ['another label', { label: 8 }, /^golden\.json: rows\[1\]\.outputs\.label: element 0 came out as 7, expected 8$/],
  [
    'a score beyond the tolerance',
    { scores: [0.5, 2.5] },
    /^golden\.json: rows\[1\]\.outputs\.scores: element 1 came out as 2, expected 2\.5, off by 0\.500, tolerance 0\.0001$/,
  ],
  [
    'an output that the model does not have',
    { score: 1 },
    /^golden\.json: rows\[1\]\.outputs\.score: the model has no such output$/,
  ],
];

for (const [title, outputs, message] of FAILING) {
  test(`a golden row with ${title} fails the model, and says where and by how much`, async () => {
    await assert.rejects(check(outputs), { code: 'MODEL_FAILED', message });
  });
}

test('the error of an invalid golden row names its place in the file', async () => {
  await assert.rejects(check({ scores: [1] }), /golden\.json: rows\[1\]\.outputs\.scores/);
  await assert.rejects(check({ label: 'seven' }), /golden\.json: rows\[1\]\.outputs\.label/);
  await assert.rejects(check({}, 1e-4, [1, 2, 3]), /golden\.json: rows\[1\]\.features/);
});

test('a run that fails on a golden row fails the model', async () => {
  const golden = { tolerance: 0, rows: [{ features: [1, 2], outputs: {} }] };
  await assert.rejects(
    checkGolden(golden, SIGNATURE, decoder, () => Promise.reject(new Error('Gather'))),
    /Gather/,
  );
});
