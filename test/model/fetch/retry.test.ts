import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RetryOptions, retrying } from '../../../functions/model/fetch/retry.ts';
import { SourceError } from '../../../functions/model/sources/source.ts';

const NEVER = new AbortController().signal;

function transient(waitSeconds?: number): SourceError {
  return new SourceError('transient', 'reset', waitSeconds === undefined ? {} : { waitSeconds });
}

/** Runs attempts that fail with these errors, then one that goes well; gives the waits without waiting. */
async function run(errors: readonly Error[], options: Partial<RetryOptions> = {}) {
  const waits: number[] = [];
  const reported: [SourceError, number][] = [];
  const result = retrying(
    async (n) => {
      const error = errors[n - 1];
      if (error !== undefined) throw error;
      return n;
    },
    {
      signal: NEVER,
      random: () => 0.5,
      sleep: async (ms) => void waits.push(ms),
      onRetry: (error, ms) => void reported.push([error, ms]),
      ...options,
    },
  );
  return { result: await result.catch((error: Error) => error), waits, reported };
}

test('tries again after transient errors, with waits that double up to 8 seconds', async () => {
  const errors = Array.from({ length: 8 }, () => transient());
  const { result, waits, reported } = await run(errors, { attempts: 9, random: () => 1 });
  assert.equal(result, 9);
  assert.deepEqual(waits, [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  assert.deepEqual(
    reported,
    errors.map((error, at) => [error, waits[at]]),
  );
});

test('draws each wait between 0 and its bound', async () => {
  assert.deepEqual((await run([transient(), transient()], { random: () => 0 })).waits, [0, 0]);
  assert.deepEqual((await run([transient(), transient()], { random: () => 0.5 })).waits, [125, 250]);
});

test('waits at least as long as the source asks, but no longer than 30 seconds for it', async () => {
  const { waits } = await run([transient(2), transient(0), transient(3_600)]);
  assert.deepEqual(waits, [2_000, 250, 30_000]);
});

test('gives up after six attempts, with their number and the last error', async () => {
  const errors = Array.from({ length: 7 }, () => transient(1));
  const { result, waits } = await run(errors);
  assert.ok(result instanceof SourceError);
  assert.equal(result.message, 'reset (after 6 attempts)');
  assert.equal(result.fault, 'transient');
  assert.equal(result.waitSeconds, 1);
  assert.equal(result.cause, errors[5]);
  assert.equal(waits.length, 5);
});

test('passes on at once an error that another attempt would not avoid', async () => {
  for (const error of [new SourceError('refused', 'x'), new SourceError('changed', 'x'), new TypeError('x')]) {
    const { result, waits } = await run([transient(), error]);
    assert.equal(result, error);
    assert.equal(waits.length, 1);
  }
});

test('stops with the reason of the signal: before an attempt, during one and during a wait', async () => {
  const reason = new Error('enough');
  assert.equal((await run([], { signal: AbortSignal.abort(reason) })).result, reason);

  const inAttempt = new AbortController();
  const failing = retrying(
    async () => {
      inAttempt.abort(reason);
      throw transient();
    },
    { signal: inAttempt.signal, onRetry: () => assert.fail('there is no next attempt') },
  );
  await assert.rejects(failing, reason);

  const inWait = new AbortController();
  const waiting = run([transient()], {
    signal: inWait.signal,
    sleep: async () => {
      inWait.abort(reason);
      throw new Error('the sleep was ended');
    },
  });
  assert.equal((await waiting).result, reason);
});

test('ends its own wait when it is aborted', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  const waiting = retrying(
    async () => {
      throw transient(30);
    },
    { signal: stop.signal, onRetry: () => setImmediate(() => stop.abort(reason)) },
  );
  await assert.rejects(waiting, reason);
});
