import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { BodyBudget } from '../../../functions/http/body/body-budget.ts';
import type { ReadRow, RowResult } from '../../../functions/routes/native/row-batch.ts';
import { feedRows } from '../../../functions/routes/native/row-feed.ts';
import type { SourceRow } from '../../../functions/routes/native/row-source.ts';
import { createRowStream, NDJSON } from '../../../functions/routes/native/row-stream.ts';

const MIB = 2 ** 20;

/** Feeds rows of these sizes, in groups, into a stream whose batches are answered when the test says so. */
function setUp(sizes: readonly (readonly number[])[], options: { batchSize?: number; over?: () => boolean } = {}) {
  const budget = new BodyBudget(Number.POSITIVE_INFINITY);
  const batches: { readonly bytes: number; readonly rows: number; answer(): void }[] = [];
  let running = 0;
  let most = 0;
  let taken = 0;
  let released = 0;
  async function* source(): AsyncGenerator<Iterable<SourceRow>> {
    for (const group of sizes) {
      yield (function* () {
        for (const bytes of group) {
          budget.reserve(bytes, 0);
          most = Math.max(most, budget.used);
          taken++;
          yield { bytes, read: () => assert.fail('read by the options'), release: () => released++ };
        }
      })();
    }
  }
  const stream = createRowStream({ framing: NDJSON, batchesInFlight: 4, send: () => undefined });
  const read = (row: SourceRow): ReadRow => row as unknown as ReadRow;
  const run = (rows: readonly unknown[]): Promise<RowResult[]> => {
    const { promise, resolve } = Promise.withResolvers<RowResult[]>();
    running++;
    const bytes = (rows as SourceRow[]).reduce((sum, row) => sum + row.bytes, 0);
    batches.push({
      bytes,
      rows: rows.length,
      answer() {
        running--;
        resolve(rows.map(() => ({ text: '"prediction":1' })));
      },
    });
    return promise;
  };
  const { batchSize = 64, over = () => false } = options;
  const done = feedRows(source(), stream, { batchSize, read, run, over, budget });
  const counts = { running: () => running, most: () => most, taken: () => taken, released: () => released };
  return { budget, batches, stream, done, ...counts };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** Answers batches as they come, until all is done. */
async function answerAll({ batches, done }: Pick<ReturnType<typeof setUp>, 'batches' | 'done'>): Promise<boolean> {
  let over = false;
  const end = done.finally(() => {
    over = true;
  });
  for (let at = 0; !over || at < batches.length; ) {
    if (at < batches.length) batches[at++]!.answer();
    else await turn();
  }
  return end;
}

test('a batch ends at its number of rows, at a MiB of lines, and with its group', async () => {
  const fed = setUp(
    [
      [1, 1, 1],
      [MIB / 2, MIB / 2, 1],
    ],
    { batchSize: 2 },
  );
  assert.equal(await answerAll(fed), true);
  assert.deepEqual(
    fed.batches.map(({ rows }) => rows),
    [2, 1, 2, 1],
  );
  const long = setUp([[MIB / 2, MIB / 2, MIB / 2, MIB, 5]]);
  assert.equal(await answerAll(long), true);
  assert.deepEqual(
    long.batches.map(({ rows }) => rows),
    [2, 2, 1],
  );
});

test('a stream whose unanswered rows hold 4 MiB is not read on until some are answered', async () => {
  const fed = setUp([[3 * MIB], [3 * MIB], [1], [1]]);
  await settle();
  assert.deepEqual([fed.taken(), fed.running()], [2, 2]);
  fed.batches[1]!.answer();
  await settle();
  assert.deepEqual([fed.taken(), fed.released()], [4, 1]);
  assert.equal(await answerAll(fed), true);
  assert.equal(fed.budget.used, 0);
});

test('however a stream ends, the memory of its rows is released, each row once', async () => {
  const sizes = fc.array(fc.array(fc.integer({ min: 0, max: 2 * MIB }), { maxLength: 6 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(40), fc.integer({ min: 1, max: 4 }), async (sizes, stop, batchSize) => {
      let asked = 0;
      const fed = setUp(sizes, { batchSize, over: () => asked++ >= stop });
      await answerAll(fed);
      await settle();
      assert.deepEqual([fed.budget.used, fed.released()], [0, fed.taken()]);
    }),
    { numRuns: 60 },
  );
});

test('rows that were taken, but not put, are given back with the stream', async () => {
  const fed = setUp([[10, 10, 10]], { batchSize: 2, over: () => true });
  assert.equal(await fed.done, false);
  assert.deepEqual([fed.budget.used, fed.batches.length], [0, 0]);
});
