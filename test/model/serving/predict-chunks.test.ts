import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import type { AdmissionOptions, Cancellation, Outcome } from '../../../functions/engine/batcher.ts';
import { ServingError } from '../../../functions/errors.ts';
import { type Chunk, predictChunks } from '../../../functions/model/serving/predict-chunks.ts';
import { quiet, range, request, settleAll, setUpBatcher } from '../../helpers/runner.ts';

const HERE = { cancelled: false };
const noop = (): void => {};

interface Call {
  readonly feeds: Feeds;
  readonly cancellation: Cancellation;
  readonly options: AdmissionOptions | undefined;
  finish(): void;
  fail(error: ServingError): void;
}

/** A model whose calls end when a test says so. */
function model() {
  const calls: Call[] = [];
  const live = {
    predict: (feeds: Feeds, cancellation: Cancellation, options?: AdmissionOptions) =>
      new Promise<readonly Outcome[]>((resolve, reject) => {
        const outcome = { rows: feeds.rows, outputs: feeds.tensors, first: 0 };
        calls.push({ feeds, cancellation, options, finish: () => resolve([outcome]), fail: reject });
      }),
  };
  return { calls, live };
}

test('a long request is bulk work in chunks of 256 rows, four at a time, of which only the first is refused', async () => {
  const { calls, live } = model();
  const handled: Chunk[] = [];
  const running = predictChunks(live, [request(range(0, 1500))], HERE, (chunk) => void handled.push(chunk));
  assert.equal(calls.length, 1, 'until it is known whether the first is refused');
  await quiet();
  assert.equal(calls.length, 4);
  calls[2]!.finish();
  await quiet();
  assert.equal(calls.length, 5);
  for (let i = 0; i < 6; i++) {
    calls[i]!.finish();
    await quiet();
  }
  await running;
  assert.deepEqual(
    calls.map(({ feeds, options }) => [feeds.tensors[0]!.data[0], feeds.rows, options!.bulk, options!.begun]),
    [
      [0, 256, true, false],
      [256, 256, true, true],
      [512, 256, true, true],
      [768, 256, true, true],
      [1024, 256, true, true],
      [1280, 220, true, true],
    ],
  );
  assert.deepEqual(
    handled.map(({ part, first, rows }) => [part, first, rows]),
    [2, 0, 1, 3, 4, 5].map((i) => [0, i * 256, i === 5 ? 220 : 256]),
  );
});

test('a short request is not bulk work, even in a few parts; only its first part may be refused', async () => {
  const { calls, live } = model();
  const running = predictChunks(live, [request([1, 2]), request([3], 3)], HERE, noop);
  await quiet();
  for (const call of calls) call.finish();
  await running;
  assert.deepEqual(
    calls.map(({ feeds, options }) => [feeds.rows, options]),
    [
      [2, { bulk: false, begun: false }],
      [1, { bulk: false, begun: true }],
    ],
  );
  const many = model();
  void predictChunks(
    many.live,
    range(0, 5).map((value) => request([value])),
    HERE,
    noop,
  );
  assert.equal(many.calls[0]!.options!.bulk, true);
});

test('no second chunk of a refused request is queued', async () => {
  const { calls, live } = model();
  const running = predictChunks(live, [request(range(0, 1500))], HERE, noop);
  const refusal = new ServingError('OVERLOADED', 'full');
  calls[0]!.fail(refusal);
  await assert.rejects(running, refusal);
  await quiet();
  assert.equal(calls.length, 1);
});

test('a chunk that fails, or whose handler throws, fails the request at once: its other chunks are cancelled', async () => {
  const error = new ServingError('MODEL_FAILED', 'bad row');
  const failing = model();
  const failed = predictChunks(failing.live, [request(range(0, 2000))], HERE, noop);
  await quiet();
  failing.calls[1]!.fail(error);
  await assert.rejects(failed, error);

  const throwing = model();
  const thrown = predictChunks(throwing.live, [request(range(0, 2000))], HERE, ({ first }) => {
    if (first === 256) throw error;
  });
  await quiet();
  throwing.calls[1]!.finish();
  await assert.rejects(thrown, error);

  for (const { calls } of [failing, throwing]) {
    assert.ok(calls.every(({ cancellation }) => cancellation.cancelled));
    calls[0]!.finish();
    await quiet();
    assert.equal(calls.length, 4);
  }
});

test('a long request takes turns with a stream that fills the queue, and gets all its rows', async () => {
  const setup = setUpBatcher({ maxBatchSize: 64, maxQueueSize: 1024 });
  const stream = range(0, 8).map(() =>
    setup.batcher.predict(request(range(0, 256)), HERE, { bulk: true, begun: true }),
  );
  let rows = 0;
  const running = predictChunks(setup.batcher, [request(range(0, 600))], { cancelled: false }, (chunk) => {
    rows += chunk.rows;
  });
  await settleAll(setup, () => undefined);
  await Promise.all([running, ...stream]);
  assert.equal(rows, 600);
});

test('chunks are cancelled with their request', async () => {
  const { calls, live } = model();
  const cancellation = { cancelled: false };
  void predictChunks(live, [request(range(0, 300))], cancellation, noop);
  assert.equal(calls[0]!.cancellation.cancelled, false);
  cancellation.cancelled = true;
  assert.equal(calls[0]!.cancellation.cancelled, true);
});

test('a long request has few rows in the queue at a time', async () => {
  const setup = setUpBatcher({ maxBatchSize: 64, maxQueueSize: 1024 });
  const seen: number[] = [];
  const running = predictChunks(setup.batcher, [request(range(0, 10_000))], HERE, (_, outcomes) => {
    seen.push(...outcomes.map(({ rows }) => rows));
  });
  await settleAll(setup, () => {
    assert.ok(setup.batcher.depth() <= 1024, `${setup.batcher.depth()} rows`);
    return undefined;
  });
  await running;
  assert.equal(
    seen.reduce((sum, rows) => sum + rows, 0),
    10_000,
  );
});
