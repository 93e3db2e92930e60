import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from '../../../functions/engine/pool.ts';
import type { JoinedTensor } from '../../../functions/engine/process/frame.ts';
import { mostWarmUpRows, warmUp } from '../../../functions/model/serving/warm-up.ts';
import { preparationOf } from '../../helpers/text-models.ts';

/** The rows of each run of a warm-up. */
async function rowsRun(rows: number): Promise<number[]> {
  const runs: number[] = [];
  const pool: Pick<Pool, 'free' | 'mostRunBytes' | 'run'> = {
    free: () => 1,
    mostRunBytes: () => Number.POSITIVE_INFINITY,
    async run([input]: readonly JoinedTensor[]) {
      runs.push(input!.dims[0]!);
      return [{ dtype: 'int32', dims: [1], data: Int32Array.of(1) }];
    },
  };
  const feeds = { tensors: [{ dtype: 'int32' as const, dims: [1, 8], data: new Int32Array(8) }], rows: 1 };
  await warmUp(pool as Pool, { feeds, place: undefined }, { rows, bytes: 2 ** 20 }, new Promise<never>(() => {}));
  return runs;
}

test('a model of texts is warmed up with one text, then with eight, as 64 would delay the start', async () => {
  const preparation = preparationOf('text-embedding-bert');
  assert.deepEqual(await rowsRun(mostWarmUpRows(preparation, 64)), [1, 8]);
  assert.deepEqual(await rowsRun(mostWarmUpRows(preparation, 4)), [1, 4]);
});

test('other models are warmed up with one row, then with as many as a run may have', async () => {
  assert.deepEqual(await rowsRun(mostWarmUpRows(undefined, 64)), [1, 64]);
});
