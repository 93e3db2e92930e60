import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { RowFeeds } from '../../../functions/model/folder/rows.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import { predictRows, type ReadRow } from '../../../functions/routes/native/row-batch.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';

const row = (value: number): ReadRow => {
  const tensor: Tensor = { dtype: 'float32', dims: [1, 1], data: Float32Array.of(value) };
  return { feeds: { tensors: [tensor], rows: 1, isRow: true } satisfies RowFeeds };
};
const waiting = { cancelled: false };

/** A model that gives back what it is fed, and what it was asked. */
function model() {
  const asked: number[] = [];
  const live = {
    joinsRows: true,
    async predict({ tensors, rows }: Feeds) {
      asked.push(rows);
      return [{ rows, outputs: tensors, first: 0 }];
    },
  } as unknown as Generation;
  return { live, asked };
}

const plain = { labels: undefined, encode: (outputs: readonly Tensor[], at: number) => String(outputs[0]!.data[at]) };

test('rows that threads read and rows that are there are run together, and answered in their order', async () => {
  const { live, asked } = model();
  const slow = Promise.withResolvers<ReadRow>();
  const refused: ReadRow = { error: new ServingError('INVALID_INPUT', 'no') };
  const results = predictRows([row(1), slow.promise, refused, Promise.resolve(row(4))], live, waiting, plain);
  slow.resolve(row(2));
  assert.deepEqual(await results, [{ text: '1' }, { text: '2' }, refused, { text: '4' }]);
  assert.deepEqual(asked, [3]);
});

test('each row of a batch has an answer of its own', async () => {
  const { live } = model();
  const answering = {
    ...live,
    rows: {},
    labelled: [],
    signature: { inputs: [], outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 1] }] },
    manifest: { output: { activation: 'sigmoid' } },
  } as unknown as Generation;
  assert.deepEqual(await predictRows([row(0), row(Math.log(3))], answering, waiting), [
    { text: '"prediction":0.5,"outputs":{"y":[0]}' },
    { text: '"prediction":0.75,"outputs":{"y":[1.0986123]}' },
  ]);
});

test('a row whose prediction cannot be written fails alone', async () => {
  const { live } = model();
  const broken = new ServingError('MODEL_FAILED', 'no such class');
  const encode = (outputs: readonly Tensor[], at: number): string => {
    if (outputs[0]!.data[at] === 2) throw broken;
    return 'fine';
  };
  const results = await predictRows([row(1), row(2), row(3)], live, waiting, { labels: undefined, encode });
  assert.deepEqual(results, [{ text: 'fine' }, { error: broken }, { text: 'fine' }]);
});

test('rows of a joined run are encoded as such, also after another run has ended the joining: no prediction contains rows of other requests', async () => {
  const form = { joinsRows: true, rows: {} };
  const signature = { inputs: [], outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 1] }] };
  const changing = {
    signature,
    manifest: {},
    labelled: [],
    get joinsRows() {
      return form.joinsRows;
    },
    get rows() {
      return form.rows;
    },
    async predict({ tensors, rows }: Feeds) {
      Object.assign(form, { joinsRows: false, rows: {} });
      return [{ rows, outputs: tensors, first: 0 }];
    },
  } as unknown as Generation;
  assert.deepEqual(await predictRows([row(1), row(2)], changing, waiting), [
    { text: '"prediction":[1],"outputs":{"y":[1]}' },
    { text: '"prediction":[2],"outputs":{"y":[2]}' },
  ]);
});

test('rows are bulk work of a request that has begun; if they are refused all the same, each has the error', async () => {
  const refusal = new ServingError('CLIENT_GONE', 'left');
  const options: unknown[] = [];
  const live = {
    joinsRows: true,
    predict(_feeds: Feeds, _cancellation: unknown, given: unknown) {
      options.push(given);
      return Promise.reject(refusal);
    },
  } as unknown as Generation;
  const results = await predictRows([row(1), row(2)], live, waiting, plain);
  assert.deepEqual(
    results.map((result) => 'error' in result && result.error),
    [refusal, refusal],
  );
  assert.deepEqual(options, [{ bulk: true, begun: true }]);
});
