import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Feeds, stackSpans } from '../../../functions/engine/batch-rows.ts';
import type { Outcome } from '../../../functions/engine/batcher.ts';
import { ServingError } from '../../../functions/errors.ts';
import { predictTensors } from '../../../functions/model/serving/predict-tensors.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { column, float32 } from '../../helpers/tensors.ts';

const SIGNATURE = {
  inputs: [
    { name: 'a', dtype: 'float32', shape: [-1, 1] },
    { name: 'b', dtype: 'float32', shape: [-1, 1] },
  ],
  outputs: [
    { name: 'y', dtype: 'float32', shape: [-1, 1] },
    { name: 's', dtype: 'string', shape: [-1, -1, 2] },
  ],
} as const;
const HERE = { cancelled: false };

/** A generation of which only the answers matter. */
function answering(predict: (feeds: Feeds) => readonly Outcome[], joinsRows = true) {
  const asked: Feeds[] = [];
  return {
    asked,
    live: {
      joinsRows,
      signature: SIGNATURE,
      predict: async (feeds: Feeds) => {
        asked.push(feeds);
        return predict(feeds);
      },
    },
  };
}

const outcome = (first: number, rows: number, ...outputs: Tensor[]): Outcome => ({ first, rows, outputs });
/** What it got of the first input, in stretches of at most `most` rows, each in the middle of a run of others. */
function inStretches(most: number) {
  return (feeds: Feeds): Outcome[] =>
    Array.from({ length: Math.ceil(feeds.rows / most) }, (_, i) => {
      const rows = Math.min(most, feeds.rows - i * most);
      const { tensors } = stackSpans([{ feeds, first: i * most, rows }]);
      return outcome(1, rows, float32([rows + 2, 1], [-1, ...(tensors[0]!.data as Float32Array), -1]));
    });
}
const run = (live: Parameters<typeof predictTensors>[0], ...tensors: Tensor[]) => predictTensors(live, tensors, HERE);

test('the outputs of one run are views of them', async () => {
  const shared = float32([5, 1], [0, 1, 2, 3, 4]);
  const { live, asked } = answering(() => [outcome(2, 2, shared)]);
  const [y] = await run(live, column(7, 8), column(9, 9));
  assert.deepEqual(
    [y!.dims, [...(y!.data as Float32Array)]],
    [
      [2, 1],
      [2, 3],
    ],
  );
  assert.equal((y!.data as Float32Array).buffer, (shared.data as Float32Array).buffer);
  assert.equal(asked[0]!.rows, 2);
  const whole = float32([2, 1], [5, 6]);
  const [same] = await run(answering(() => [outcome(0, 2, whole)]).live, column(7, 8), column(9, 9));
  assert.equal(same!.data, whole.data);
});

test('the outputs of several runs become one tensor, in order', async () => {
  const values = Array.from({ length: 200 }, (_, i) => i);
  const { live, asked } = answering(inStretches(64));
  const [y] = await run(live, column(...values), column(...values));
  assert.deepEqual([y!.dims, [...(y!.data as Float32Array)]], [[200, 1], values]);
  assert.equal(asked.length, 1);
});

test('a long request runs in chunks, and its outputs are complete', async () => {
  const values = Array.from({ length: 3000 }, (_, i) => i);
  const { live, asked } = answering(inStretches(100));
  const [y] = await run(live, column(...values), column(...values));
  assert.deepEqual([y!.dims, [...(y!.data as Float32Array)]], [[3000, 1], values]);
  assert.ok(asked.length === 12 && asked.every(({ rows }) => rows <= 256));
});

test('a full queue refuses a long request before its second chunk is queued', async () => {
  const full = new ServingError('OVERLOADED', 'the queue is full');
  const values = column(...Array.from({ length: 1000 }, (_, i) => i));
  const { live, asked } = answering(() => {
    throw full;
  });
  await assert.rejects(run(live, values, values), full);
  assert.equal(asked.length, 1);
});

test('a row that fails fails its request, whose remaining rows are not queued', async () => {
  const error = new ServingError('MODEL_FAILED', 'bad row');
  const values = column(...Array.from({ length: 10_000 }, (_, i) => i));
  const { live, asked } = answering((feeds) => [outcome(0, 1, float32([1, 1], [0])), { rows: feeds.rows - 1, error }]);
  await assert.rejects(run(live, values, values), error);
  assert.ok(asked.length <= 4, `${asked.length} chunks`);
  const gone = new ServingError('CLIENT_GONE', 'left');
  const leaving = answering(() => {
    throw gone;
  });
  await assert.rejects(run(leaving.live, values, values), gone);
});

test('an empty batch gives empty outputs; a row of zeros gives the dimensions that are left open', async () => {
  const texts: Tensor = { dtype: 'string', dims: [3, 5, 2], data: new Array(30).fill('') };
  const { live, asked } = answering(() => [outcome(1, 1, float32([3, 1], [0, 0, 0]), texts)]);
  const shapes = async (...tensors: Tensor[]) =>
    (await run(live, ...tensors)).map(({ dtype, dims, data }) => [dtype, dims, data.length]);
  assert.deepEqual(await shapes(float32([0, 1], []), float32([0, 1], [])), [
    ['float32', [0, 1], 0],
    ['string', [0, 5, 2], 0],
  ]);
  assert.deepEqual(asked, [{ tensors: [column(0), column(0)], rows: 1 }]);
});

test('an open dimension is 0 if the model does not accept the row of zeros, or that would be large', async () => {
  const error = new ServingError('MODEL_FAILED', 'out of its domain');
  const failing = answering(() => [{ rows: 1, error }]);
  const dimsOf = (outputs: readonly Tensor[]) => outputs.map(({ dims }) => dims);
  assert.deepEqual(dimsOf(await run(failing.live, float32([0, 1], []), float32([0, 1], []))), [
    [0, 1],
    [0, 0, 2],
  ]);
  const { live, asked } = answering(() => []);
  assert.deepEqual(dimsOf(await run(live, float32([0, 30_000, 30_000], []), float32([0, 1], []))), [
    [0, 1],
    [0, 0, 2],
  ]);
  assert.equal(asked.length, 0);
});

test('an empty batch runs nothing if the signature has every further dimension', async () => {
  const { live, asked } = answering(() => []);
  const signature = { inputs: SIGNATURE.inputs, outputs: [{ name: 'p', dtype: 'float32', shape: [-1, 3] }] } as const;
  const [p] = await run({ ...live, signature }, float32([0, 1], []), float32([0, 1], []));
  assert.deepEqual([p!.dims, p!.data.length, asked.length], [[0, 3], 0, 0]);
});

test('batches of different lengths are refused with the names of the inputs', async () => {
  await assert.rejects(run(answering(() => []).live, column(1, 2), column(1)), {
    code: 'INVALID_INPUT',
    message: /one length for all inputs, got 2 for a and 1 for b/,
  });
});

test('a model whose rows are not joined runs all rows at once; empty tensors that it does not accept are an error of the request', async () => {
  const output = float32([7], [1, 2, 3, 4, 5, 6, 7]);
  const { live, asked } = answering(() => [outcome(0, 1, output)], false);
  assert.deepEqual(await run(live, column(1, 2, 3), column(1)), [output]);
  assert.equal(asked[0]!.rows, 1);
  const error = new ServingError('MODEL_FAILED', 'bad');
  const failing = answering(() => [{ rows: 1, error }], false);
  await assert.rejects(run(failing.live, column(1), column(1)), error);
  const expected = { code: 'INVALID_INPUT', message: /input b has no elements/ };
  await assert.rejects(run(failing.live, column(1), float32([0, 1], [])), expected);
});

test('outputs of different shapes from run to run are a failure of the model', async () => {
  const outputs = [float32([1, 1], [0]), float32([1, 2], [0, 1])];
  const { live } = answering(() => outputs.map((tensor) => outcome(0, 1, tensor)));
  await assert.rejects(run(live, column(1, 2), column(1, 2)), { code: 'MODEL_FAILED', message: /different shapes/ });
});
