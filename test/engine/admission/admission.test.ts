import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission, type AdmittedEntry } from '../../../functions/engine/admission/admission.ts';
import type { RequestTerms } from '../../../functions/engine/admission/terms.ts';
import type { ServingError } from '../../../functions/errors.ts';
import { arrivalsOf, type SimulatedRequest, simulate, type World } from '../../helpers/overload-simulation.ts';
import { range, request } from '../../helpers/runner.ts';

interface Entry extends AdmittedEntry {
  rejected: ServingError | undefined;
}

interface Given {
  readonly rows?: number;
  readonly terms?: RequestTerms;
  readonly isBulk?: boolean;
}

/** An admission on one engine with a clock that a test moves, whose runs of one row take 100 ms. */
function setUp({ maxQueueSize = 1000 } = {}) {
  const clock = { now: 0 };
  const admission = new Admission<Entry>({ maxQueueSize, maxRunRows: 1, engines: () => 1, now: () => clock.now });
  admission.ran(1, 100);

  function add({ rows = 1, terms = { cancelled: false }, isBulk = false }: Given = {}): Entry {
    const entry: Entry = {
      feeds: request(range(0, rows)),
      key: '',
      terms,
      isBulk,
      taken: 0,
      queuedAt: 0,
      rejected: undefined,
      reject(error) {
        entry.rejected = error;
      },
    };
    admission.add(entry);
    return entry;
  }
  return { clock, admission, add };
}

const codeOf = ({ rejected }: Entry): string | undefined => rejected?.code;

test('a request that is predicted to wait beyond its deadline is refused at once, with the time at which it is expected to be accepted', () => {
  const { admission, add } = setUp();
  add({ rows: 20 });
  const refusal = admission.refuse(1, { cancelled: false, deadline: 2000 }, {})!;
  assert.deepEqual([refusal.code, refusal.retryAfter], ['OVERLOADED', 3]);
  assert.equal(refusal.message, 'the request would wait 2.1 s, and its deadline is in 2.0 s; try again in 3 s');
  assert.equal(admission.refuse(1, { cancelled: false, deadline: 3000 }, {}), undefined);
  assert.equal(admission.refuse(1, { cancelled: false }, {}), undefined, 'without a deadline it may wait');
});

test('a request of a higher priority is measured by the rows before it only', () => {
  const { admission, add } = setUp();
  add({ rows: 20 });
  assert.equal(admission.refuse(1, { cancelled: false, deadline: 2000, priority: 0 }, {}), undefined);
  assert.equal(admission.refuse(1, { cancelled: false, deadline: 2000, priority: 2 }, {})?.code, 'OVERLOADED');
});

test('an empty queue accepts a request of any size, whatever its deadline: waiting would not help it', () => {
  const { admission, add } = setUp({ maxQueueSize: 2 });
  assert.equal(admission.refuse(100, { cancelled: false, deadline: 1 }, {}), undefined);
  add({ rows: 100 });
  assert.match(admission.refuse(1, { cancelled: false }, {})!.message, /the queue is full: 100 rows wait, 2 at most/);
});

test('rows that can no longer be run before their deadline are dropped before they run', () => {
  const { clock, admission, add } = setUp();
  const late = add({ terms: { cancelled: false, deadline: 1000 } });
  const inTime = add({ terms: { cancelled: false, deadline: 1100 } });
  clock.now = 950;
  assert.equal(admission.first(), inTime);
  assert.deepEqual([codeOf(late), codeOf(inTime), admission.depth], ['DEADLINE', undefined, 1]);
});

test('a request that finds the engine free runs, though runs took longer than its deadline: how long they take depends on their rows', () => {
  const { clock, admission, add } = setUp();
  admission.ran(1, 5000);
  const entry = add({ terms: { cancelled: false, deadline: 200 } });
  clock.now = 90;
  assert.equal(admission.first(), entry);
});

test('an estimate that was too long, as after a slow first run, does not drop waiting rows for ever', () => {
  const { clock, admission, add } = setUp();
  admission.ran(1, 5000);
  let dropped = 0;
  for (; dropped < 100; dropped++) {
    const entry = add({ terms: { cancelled: false, deadline: clock.now + 200 } });
    clock.now += 110;
    if (admission.first() === entry) break;
    assert.equal(codeOf(entry), 'DEADLINE');
  }
  assert.ok(dropped < 40, `${dropped} rows`);
});

test('rows of a cancelled request do not run, wherever they are in the queue', () => {
  const { admission, add } = setUp();
  const terms = { cancelled: false };
  const [first, middle, kept] = [add({ terms }), add(), add()];
  const chunk = add({ terms, isBulk: true });
  terms.cancelled = true;
  assert.equal(admission.first(), middle);
  admission.begin(middle);
  admission.take(middle, 1);
  assert.equal(admission.next(''), kept);
  admission.take(kept, 1);
  assert.equal(admission.first(), undefined);
  assert.deepEqual([first, chunk].map(codeOf), ['CLIENT_GONE', 'CLIENT_GONE']);
  assert.equal(admission.depth, 0);
});

test('cancelled requests make room in a full queue, which is searched for them at most every 50 ms', () => {
  const { clock, admission, add } = setUp({ maxQueueSize: 2 });
  const terms = [{ cancelled: false }, { cancelled: false }];
  for (const one of terms) add({ terms: one });
  clock.now = 100;
  terms[0]!.cancelled = true;
  assert.equal(admission.refuse(1, { cancelled: false }, {}), undefined);
  add();
  terms[1]!.cancelled = true;
  assert.equal(admission.refuse(1, { cancelled: false }, {})?.code, 'OVERLOADED');
  clock.now = 200;
  assert.equal(admission.refuse(1, { cancelled: false }, {}), undefined);
});

test('bulk work takes no room from short requests, and does not count for their wait', () => {
  const { admission, add } = setUp({ maxQueueSize: 4 });
  add({ rows: 500, isBulk: true });
  assert.equal(admission.refuse(4, { cancelled: false, deadline: 1000 }, {}), undefined);
});

test('a long request is refused if 64 are queued already; one that has begun, and a short one, are not', () => {
  const { admission, add } = setUp();
  const all = range(0, 64).map(() => ({ cancelled: false }));
  for (const terms of all) for (let chunk = 0; chunk < 2; chunk++) add({ terms, isBulk: true });
  const { code, message } = admission.refuse(1, { cancelled: false }, { bulk: true })!;
  assert.equal(code, 'OVERLOADED');
  assert.match(message, /64 long requests are queued, 64 at most/);
  assert.equal(admission.refuse(1, all[0]!, { bulk: true, begun: true }), undefined);
  assert.equal(admission.refuse(1, { cancelled: false }, {}), undefined);
});

test('when an overload begins, the requests that have waited longest are refused, those of low priority first, and the rest waits no longer than the target', () => {
  const { clock, admission, add } = setUp();
  const low = add({ terms: { cancelled: false, priority: 2 } });
  const waiting = range(0, 20).map((at) => {
    clock.now = at;
    return add({ terms: { cancelled: false, deadline: 4000 } });
  });
  const chunk = add({ isBulk: true });
  clock.now = 1000;
  for (let i = 0; i < 5; i++) admission.refuse(50, { cancelled: false, deadline: 2000 }, {});
  const refused = waiting.filter((entry) => codeOf(entry) === 'OVERLOADED');
  assert.deepEqual(refused, waiting.slice(0, 15));
  assert.deepEqual([codeOf(low), codeOf(chunk)], ['OVERLOADED', undefined]);
  const times = refused.map(({ rejected }) => rejected!.retryAfter!);
  assert.ok(times.every((seconds) => seconds >= 1) && times.at(-1)! > times[0]!, 'each is told a time of its own');
  assert.match(admission.refuse(1, { cancelled: false }, {})!.message, /more requests arrive than can be served/);
  assert.match(
    admission.refuse(1, { cancelled: false }, { bulk: true })!.message,
    /more requests arrive than can be served/,
  );
});

test('requests whose deadline no queue could meet are refused, and make no overload for those that wait patiently', () => {
  const { admission, add } = setUp();
  const patient = range(0, 20).map(() => add());
  for (let i = 0; i < 100; i++) assert.ok(admission.refuse(1, { cancelled: false, deadline: 1 }, {}));
  assert.deepEqual([admission.depth, patient.find(codeOf)], [20, undefined]);
  assert.equal(admission.refuse(1, { cancelled: false }, {}), undefined);
});

test('clients that leave at once make no overload for those that wait patiently', () => {
  const { admission, add } = setUp();
  const gone = { cancelled: false };
  const patient = range(0, 10).map(() => add());
  range(0, 50).map(() => add({ terms: gone }));
  gone.cancelled = true;
  admission.sweep();
  assert.deepEqual([admission.depth, patient.find(codeOf)], [10, undefined]);
});

test('when an overload begins, requests whose clients have left make room before others are refused', () => {
  const { clock, admission, add } = setUp();
  const waiting = range(0, 4).map(() => add());
  const gone = { cancelled: false };
  const left = range(0, 20).map(() => add({ terms: gone }));
  clock.now = 1;
  admission.sweep();
  gone.cancelled = true;
  for (let i = 0; i < 20; i++) admission.refuse(1, { cancelled: false, deadline: 1500 }, {});
  assert.deepEqual([left.every((entry) => codeOf(entry) === 'CLIENT_GONE'), waiting.find(codeOf)], [true, undefined]);
});

test('clients that do not wait as long as they were told lengthen the wait of others no longer than the queue has rows', () => {
  const { admission, add } = setUp();
  const refuse = (): number | undefined => admission.refuse(1, { cancelled: false, deadline: 1000 }, {})?.retryAfter;
  const first = range(0, 20).map(() => add());
  for (let i = 0; i < 10_000; i++) refuse();
  assert.equal(refuse(), 600);
  for (const entry of first) {
    if (admission.first() !== entry) continue;
    admission.begin(entry);
    admission.take(entry, 1);
    admission.ran(1, 100);
  }
  assert.equal(admission.depth, 0);
  range(0, 20).map(() => add());
  assert.equal(refuse(), 3);
});

test('all entries are rejected with an error, and nothing is left', () => {
  const { admission, add } = setUp();
  const entries = [add(), add({ isBulk: true, rows: 3 })];
  const [head] = entries;
  admission.begin(head!);
  admission.take(head!, 1);
  const other = new Error('no engine') as ServingError;
  admission.rejectAll(other);
  assert.deepEqual([head!.rejected, entries[1]!.rejected, admission.depth], [undefined, other, 0]);
});

/** A convolution net of 50 ms a run on two engines: 40 rows a second. */
const CONVOLUTION: World = {
  engines: 2,
  runMs: () => 50,
  maxRunRows: 1,
  maxQueueSize: 8192,
  deadlineMs: 60_000,
  patienceMs: Number.POSITIVE_INFINITY,
  comesBack: false,
};
const PEAK = 40;

/** The same numbers in every run. */
function createRandom(): () => number {
  let state = 7;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const served = (requests: readonly SimulatedRequest[], from: number, to: number): SimulatedRequest[] =>
  requests.filter(
    ({ outcome, settledAt }) => outcome === 'served' && settledAt >= from * 1000 && settledAt < to * 1000,
  );

/** The same network, whose rows are joined: a run takes as long as its rows one after the other. */
const JOINED: World = { ...CONVOLUTION, maxRunRows: 64, runMs: (rows) => 50 * rows };

for (const [deadlineMs, patienceMs] of [
  [60_000, Number.POSITIVE_INFINITY],
  [5000, Number.POSITIVE_INFINITY],
  [60_000, 5000],
  [60_000, 1000],
  [60_000, 300],
] as const) {
  for (const factor of [1.3, 3, 10]) {
    test(`at ${factor} times the capacity, with a deadline of ${deadlineMs / 1000} s and clients that leave after ${patienceMs / 1000} s, nine tenths of it are served in each two seconds`, () => {
      for (const net of [CONVOLUTION, JOINED]) {
        const world = { ...net, deadlineMs, patienceMs };
        const requests = simulate(world, arrivalsOf(factor * PEAK, 0, 60, createRandom()));
        for (let second = 2; second < 58; second += 2) {
          const { length } = served(requests, second, second + 2);
          const where = `runs of ${net.maxRunRows}, second ${second}`;
          assert.ok(length >= 0.9 * 2 * PEAK, `${where}: ${length} in two seconds`);
        }
      }
    });
  }
}

test('refused clients that come back when they were told to are accepted, nine of ten', () => {
  const world = { ...CONVOLUTION, deadlineMs: 5000, comesBack: true };
  const requests = simulate(world, arrivalsOf(10 * PEAK, 0, 30, createRandom()));
  const retries = requests.filter(({ isRetry }) => isRetry);
  assert.ok(retries.length > 5000);
  assert.ok(retries.filter(({ outcome }) => outcome === 'served').length >= 0.9 * retries.length);
});

test('a second after an overload, new requests are served as if there had been none', () => {
  const random = createRandom();
  const arrivals = [...arrivalsOf(10 * PEAK, 0, 30, random), ...arrivalsOf(PEAK / 4, 30, 40, random)];
  const after = simulate(CONVOLUTION, arrivals).filter(({ arrivedAt }) => arrivedAt >= 31_000);
  assert.ok(after.length > 50);
  assert.deepEqual(
    after.filter(({ outcome, arrivedAt, settledAt }) => outcome !== 'served' || settledAt - arrivedAt > 500),
    [],
  );
});

test('below the capacity nobody is refused', () => {
  const requests = simulate(CONVOLUTION, arrivalsOf(0.9 * PEAK, 0, 60, createRandom()));
  assert.ok(requests.every(({ outcome }) => outcome === 'served'));
});

test('a hundred requests at once to a slow model are all served: a burst is no overload', () => {
  const requests = simulate(CONVOLUTION, new Array(100).fill(0));
  assert.ok(requests.every(({ outcome }) => outcome === 'served'));
});
