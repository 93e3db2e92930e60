import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AdmissionOptions, createAdmission, type QueueEntry } from '../../functions/engine/admission.ts';
import { ServingError } from '../../functions/errors.ts';
import { ask, quiet, range, request, setUpBatcher, valuesOfRuns } from '../helpers/runner.ts';

const BULK_WAIT: AdmissionOptions = { bulk: true, whenFull: 'wait' };

/** An entry of so many rows. `first` names it; `rejected` has the code that it was rejected with. */
function entryOf(first: number, rows = 1, cancellation = { cancelled: false }, isBulk = true) {
  const entry = {
    feeds: request(range(first, rows)),
    cancellation,
    isBulk,
    taken: 0,
    queuedAt: 0,
    rejected: undefined as string | undefined,
    reject(error: ServingError) {
      entry.rejected = error.code;
    },
  };
  return entry satisfies QueueEntry;
}
const firstOf = ({ feeds }: QueueEntry): number => (feeds.tensors[0]!.data as Float32Array)[0]!;

/** Takes all rows of the oldest entry, as the batcher does. */
function takeOldest(admission: ReturnType<typeof createAdmission>): void {
  const [entry] = admission.queue.splice(0, 1);
  admission.take(entry!, entry!.feeds.rows);
  admission.admitWaiting();
}

test('chunks that wait enter in turn, one of each request, in the order in which the requests began to wait', () => {
  const admission = createAdmission(2);
  const [a, b, c] = [{ cancelled: false }, { cancelled: false }, { cancelled: false }];
  for (const [first, cancellation] of [
    [0, a],
    [1, a],
    [2, a],
    [3, a],
    [10, b],
    [11, b],
    [20, c],
  ] as const) {
    admission.add(entryOf(first, 1, cancellation));
  }
  const order: number[] = [];
  for (; admission.queue.length > 0; takeOldest(admission)) order.push(firstOf(admission.queue[0]!));
  assert.deepEqual(order, [0, 1, 10, 20, 2, 11, 3]);
});

test('bulk work does not overtake chunks that wait, however small it is: it waits its turn behind them', () => {
  const admission = createAdmission(8);
  for (const entry of [entryOf(0, 3), entryOf(10, 2), entryOf(20, 1)]) admission.add(entry);
  assert.deepEqual(admission.queue.map(firstOf), [0]);
  assert.equal(admission.refuse(1, { bulk: true }), undefined);
  admission.add(entryOf(30, 1));
  takeOldest(admission);
  assert.deepEqual(admission.queue.map(firstOf), [10, 20, 30]);
});

test('the first chunk of a long request is refused if short requests leave no room for it, and waits if only bulk work is in its way', () => {
  const admission = createAdmission(8);
  admission.add(entryOf(0, 3));
  assert.equal(admission.refuse(2, { bulk: true }), undefined, 'a chunk of another request is in its way');
  const short = entryOf(10, 3, { cancelled: false }, false);
  admission.add(short);
  assert.equal(admission.refuse(2, { bulk: true })?.code, 'OVERLOADED', 'without that chunk there would be no room');
  assert.equal(admission.refuse(2, {}), undefined, 'a short request still enters');
  admission.add(entryOf(20, 1));
  assert.equal(admission.refuse(2, { bulk: true }), undefined, 'a chunk waits: this one enters in turn');
  short.cancellation.cancelled = true;
  while (admission.queue.length > 0) takeOldest(admission);
  admission.add(entryOf(30, 4, { cancelled: false }, false));
  assert.equal(admission.refuse(1, { bulk: true })?.code, 'OVERLOADED');
});

test('a long request is refused if 64 requests wait already, and a stream still waits', () => {
  const admission = createAdmission(2);
  const cancellations = range(0, 65).map(() => ({ cancelled: false }));
  for (const [first, cancellation] of cancellations.slice(0, 64).entries()) {
    admission.add(entryOf(first, 1, cancellation));
    admission.add(entryOf(first, 1, cancellation));
  }
  // The first chunk of one of them is in the queue; its second one waits as well.
  const { code, message, retryAfter } = admission.refuse(1, { bulk: true })!;
  assert.deepEqual(
    [code, message, retryAfter],
    ['OVERLOADED', '64 long requests and streams wait for room in the queue, 64 at most', 1],
  );
  assert.equal(admission.refuse(1, BULK_WAIT), undefined);
  cancellations[3]!.cancelled = true;
  assert.equal(admission.refuse(1, { bulk: true }), undefined, 'cancelled requests are removed first');
});

test('a chunk larger than half of the queue enters when the queue is empty', () => {
  const admission = createAdmission(4);
  admission.add(entryOf(0, 1));
  admission.add(entryOf(10, 100));
  admission.add(entryOf(200, 1));
  takeOldest(admission);
  assert.deepEqual([admission.queue.map(firstOf), admission.depth()], [[10], 100]);
  takeOldest(admission);
  assert.deepEqual(admission.queue.map(firstOf), [200]);
});

test('a short request that may wait does so only if the entire queue is full', () => {
  const admission = createAdmission(4);
  admission.add(entryOf(0, 2));
  for (const first of [10, 20, 30]) admission.add(entryOf(first, 1, { cancelled: false }, false));
  assert.deepEqual([admission.queue.map(firstOf), admission.depth()], [[0, 10, 20], 4]);
  takeOldest(admission);
  assert.deepEqual(admission.queue.map(firstOf), [10, 20, 30]);
});

test('cancelled requests are removed from the queue and from the chunks that wait, which make room', () => {
  const admission = createAdmission(4);
  const [leaving, stays] = [{ cancelled: false }, { cancelled: false }];
  const queued = entryOf(0, 2, leaving);
  const waiting = [entryOf(10, 1, leaving), entryOf(11, 1, leaving)];
  for (const entry of [queued, ...waiting, entryOf(20, 2, stays)]) admission.add(entry);
  leaving.cancelled = true;
  admission.removeCancelled();
  assert.deepEqual(
    [queued, ...waiting].map(({ rejected }) => rejected),
    ['CLIENT_GONE', 'CLIENT_GONE', 'CLIENT_GONE'],
  );
  assert.deepEqual([admission.queue.map(firstOf), admission.depth()], [[20], 2]);
});

test('no chunk of a request that was cancelled while it waited enters the queue', () => {
  const admission = createAdmission(2);
  const [leaving, stays] = [{ cancelled: false }, { cancelled: false }];
  const left = entryOf(10, 1, leaving);
  for (const entry of [entryOf(0), left, entryOf(20, 1, stays)]) admission.add(entry);
  leaving.cancelled = true;
  takeOldest(admission);
  assert.deepEqual([admission.queue.map(firstOf), left.rejected], [[20], 'CLIENT_GONE']);
});

test('cancelled short requests make room for the first chunk of a request', () => {
  const admission = createAdmission(4);
  const leaving = { cancelled: false };
  for (const first of [0, 2]) admission.add(entryOf(first, 2, leaving, false));
  assert.equal(admission.refuse(2, { bulk: true })?.code, 'OVERLOADED');
  leaving.cancelled = true;
  assert.equal(admission.refuse(2, { bulk: true }), undefined);
  assert.deepEqual([admission.queue, admission.depth()], [[], 0]);
});

test('all entries, in the queue and waiting, are rejected with an error, and nothing is left', () => {
  const admission = createAdmission(4);
  const partly = entryOf(0, 2);
  const others = [entryOf(10, 2), entryOf(20, 2), entryOf(30, 1, { cancelled: false }, false)];
  for (const entry of [partly, ...others]) admission.add(entry);
  admission.take(partly, 1);
  assert.equal(admission.isEmpty(), false);
  admission.rejectAll(new ServingError('NOT_READY', 'no engine'));
  assert.deepEqual(
    [partly, ...others].map(({ rejected }) => rejected),
    new Array(4).fill('NOT_READY'),
  );
  assert.deepEqual([admission.queue, admission.depth(), admission.isEmpty()], [[], 0, true]);
  assert.equal(admission.refuse(4, { bulk: true }), undefined);
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

test('in any order of arrivals, runs and cancellations, bulk work is bounded, fair and in order, and every chunk that is not cancelled runs', async () => {
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
        asked: ask(batcher, request(range(value, rows)), cancellation, BULK_WAIT),
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

test('at most one chunk of each other request overtakes one that waits, and bulk work fills at most half of the queue', () => {
  const world = fc.record({
    arrivals: fc.array(fc.record({ who: fc.nat(4), rows: fc.integer({ min: 1, max: 6 }), ends: fc.nat(2) }), {
      maxLength: 80,
    }),
    maxQueueSize: fc.integer({ min: 2, max: 24 }),
  });
  fc.assert(
    fc.property(world, ({ arrivals, maxQueueSize }) => {
      const admission = createAdmission(maxQueueSize);
      const requests = range(0, 5).map(() => ({ cancelled: false }));
      /** For each request that waits: the chunks of each other one that came in since. */
      const passed = new Map<object, Map<object, number>>();
      const waiting = new Map<object, number>();
      const seen = new Set<object>();

      function observe(): void {
        const depth = admission.queue.reduce((sum, { feeds }) => sum + feeds.rows, 0);
        assert.equal(admission.depth(), depth);
        assert.ok(depth <= maxQueueSize / 2 || admission.queue.length === 1, `${depth} rows`);
        for (const entry of admission.queue) {
          if (seen.has(entry)) continue;
          seen.add(entry);
          const { cancellation } = entry;
          const left = (waiting.get(cancellation) ?? 1) - 1;
          waiting.set(cancellation, left);
          passed.delete(cancellation);
          for (const [other, count] of waiting) {
            if (count === 0 || other === cancellation) continue;
            const by = passed.get(other) ?? new Map<object, number>();
            by.set(cancellation, (by.get(cancellation) ?? 0) + 1);
            passed.set(other, by);
            assert.ok(by.get(cancellation)! <= 1, 'passed twice by one request');
          }
        }
      }

      for (const { who, rows, ends } of arrivals) {
        const cancellation = requests[who]!;
        waiting.set(cancellation, (waiting.get(cancellation) ?? 0) + 1);
        admission.add(entryOf(0, rows, cancellation));
        observe();
        for (let i = 0; i < ends && admission.queue.length > 0; i++) {
          takeOldest(admission);
          observe();
        }
      }
      while (admission.queue.length > 0) {
        takeOldest(admission);
        observe();
      }
      assert.equal(seen.size, arrivals.length, 'all came in');
    }),
    { numRuns: 500 },
  );
});

test('no wake-up is lost, in any order of runs that end and clients that leave', async () => {
  const events = ['end', 'end', 'leave queued', 'leave waiting', 'drop'] as const;
  for (const order of permutations(events)) {
    const { runner, batcher } = setUpBatcher({ maxBatchSize: 1, maxQueueSize: 2 }, 2);
    const requests = range(0, 6).map((value) => ask(batcher, request([value]), { cancelled: false }, BULK_WAIT));
    await quiet();
    for (const event of order) {
      if (event === 'end') runner.open[0]?.finish();
      else if (event === 'leave queued') requests[2]!.cancellation.cancelled = true;
      else if (event === 'leave waiting') requests[4]!.cancellation.cancelled = true;
      else {
        requests[3]!.cancellation.cancelled = true;
        // It finds the queue full: those whose client has left are dropped.
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
