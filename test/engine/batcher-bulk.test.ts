import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AdmissionOptions } from '../../functions/engine/admission/admission.ts';
import { ask, quiet, range, request, settleAll, setUpBatcher, valuesOfRuns } from '../helpers/runner.ts';

const BEGUN: AdmissionOptions = { bulk: true, begun: true };

test('a stream that always has a chunk waiting does not starve a long request', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4, maxQueueSize: 8 });
  const stream = { cancelled: false };
  const chunk = () => ask(batcher, request(range(0, 4)), stream, BEGUN);
  const chunks = range(0, 4).map(chunk);
  await quiet();
  const long = ask(batcher, request([50, 51]), { cancelled: false }, { bulk: true });
  for (let runs = 0; runs < 3 && long.settled === undefined; runs++) {
    runner.open[0]!.finish();
    chunks.push(chunk());
    await quiet();
  }
  assert.deepEqual(long.settled, [500, 510]);
});

test('a short request runs before all bulk work that waits, and shares its run with some of it', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2 });
  for (const value of [1, 3, 5]) ask(batcher, request([value, value + 1]), { cancelled: false }, BEGUN);
  await quiet();
  const short = ask(batcher, request([9]));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(short.settled, [90]);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2], [9, 3], [5, 6], [4]]);
});

type Move = { readonly kind: 'chunk' | 'single' | 'end' | 'leave'; readonly who: number; readonly rows: number };

const moves = fc.array(
  fc.record({
    kind: fc.constantFrom<Move['kind']>('chunk', 'chunk', 'chunk', 'single', 'end', 'end', 'leave'),
    who: fc.nat(4),
    rows: fc.integer({ min: 1, max: 5 }),
  }),
  { minLength: 1, maxLength: 60 },
);

test('in any order of arrivals, runs and cancellations, the chunks of a request run in order, and every chunk that is not cancelled runs', async () => {
  const world = fc.record({
    moves,
    maxQueueSize: fc.integer({ min: 1, max: 16 }),
    engines: fc.integer({ min: 1, max: 2 }),
  });
  await fc.assert(fc.asyncProperty(world, playOut), { numRuns: 500 });
});

async function playOut(world: { moves: readonly Move[]; maxQueueSize: number; engines: number }) {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2, maxQueueSize: world.maxQueueSize }, world.engines);
  const requests = range(0, 5).map(() => ({ cancellation: { cancelled: false }, chunks: [] as Chunk[] }));
  const singles: ReturnType<typeof ask>[] = [];
  let value = 0;
  let checked = 0;

  function check(): void {
    for (; checked < runner.runs.length; checked++) {
      for (const got of runner.runs[checked]!.values) {
        for (const { chunks, cancellation } of requests) {
          const chunk = chunks.find(({ first, rows }) => got >= first && got < first + rows);
          if (chunk === undefined) continue;
          assert.ok(!cancellation.cancelled, 'a row of a cancelled request was run');
          chunk.runAt ??= checked;
        }
      }
    }
  }

  for (const { kind, who, rows } of world.moves) {
    const { cancellation, chunks } = requests[who]!;
    if (kind === 'chunk') {
      chunks.push({
        first: value,
        rows,
        runAt: undefined,
        asked: ask(batcher, request(range(value, rows)), cancellation, BEGUN),
      });
      value += rows;
    } else if (kind === 'single') singles.push(ask(batcher, request([1000 + value++])));
    else if (kind === 'end') runner.open[0]?.finish();
    else {
      check();
      cancellation.cancelled = true;
    }
    if (kind === 'end' || kind === 'leave') await quiet();
    check();
  }
  for (await quiet(); runner.open.length > 0; await quiet()) {
    check();
    runner.open[0]!.finish();
  }
  check();

  assert.equal(batcher.depth(), 0);
  for (const { cancellation, chunks } of requests) {
    for (const { asked, first, rows, runAt } of chunks) {
      assert.equal(asked.times, 1, 'settled once');
      if (asked.settled === 'CLIENT_GONE') assert.ok(cancellation.cancelled);
      else assert.deepEqual([asked.settled, runAt !== undefined], [range(first, rows).map((row) => row * 10), true]);
    }
    const runs = chunks.flatMap(({ runAt }) => runAt ?? []);
    assert.deepEqual(
      runs,
      runs.toSorted((a, b) => a - b),
      'the chunks of a request are run in their order',
    );
  }
  for (const { times, settled } of singles)
    assert.ok(times === 1 && (Array.isArray(settled) || settled === 'OVERLOADED'));
}

interface Chunk {
  readonly first: number;
  readonly rows: number;
  readonly asked: ReturnType<typeof ask>;
  /** The first run that has rows of it. */
  runAt: number | undefined;
}

test('no wake-up is lost, in any order of runs that end and clients that leave', async () => {
  const events = ['end', 'end', 'leave queued', 'leave waiting', 'drop'] as const;
  for (const order of permutations(events)) {
    const { runner, batcher } = setUpBatcher({ maxBatchSize: 1, maxQueueSize: 2 }, 2);
    const requests = range(0, 6).map((value) => ask(batcher, request([value]), { cancelled: false }, BEGUN));
    await quiet();
    for (const event of order) {
      if (event === 'end') runner.open[0]?.finish();
      else if (event === 'leave queued') requests[2]!.cancellation.cancelled = true;
      else if (event === 'leave waiting') requests[4]!.cancellation.cancelled = true;
      else {
        requests[3]!.cancellation.cancelled = true;
        // It finds the queue full.
        ask(batcher, request([50, 51]));
      }
      await quiet();
    }
    while (runner.open.length > 0) {
      runner.open[0]!.finish();
      await quiet();
    }
    assert.ok(
      requests.every(({ times }) => times === 1),
      `${order}: ${requests.map(({ settled }) => settled)}`,
    );
    assert.deepEqual([requests[5]!.settled, batcher.depth()], [[50], 0]);
    assert.ok(valuesOfRuns(runner.runs).some(([value]) => value === 5));
  }
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
