import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type QueueEntry, RowQueue } from '../../../functions/engine/admission/row-queue.ts';
import type { RequestTerms } from '../../../functions/engine/admission/terms.ts';
import { float32 } from '../../helpers/tensors.ts';

interface Named extends QueueEntry {
  readonly name: string;
}

interface Given {
  readonly rows?: number;
  readonly key?: string;
  readonly terms?: RequestTerms;
  readonly isBulk?: boolean;
}

function entry(name: string, { rows = 1, key = '', terms = { cancelled: false }, isBulk = false }: Given = {}): Named {
  const feeds = { tensors: [float32([rows, 1], new Array(rows).fill(0))], rows };
  return { name, feeds, key, terms, isBulk, taken: 0, queuedAt: 0 };
}

/** Takes runs of so many rows until the queue is empty. @returns for each run, the names of the entries whose rows it has. */
function drain(queue: RowQueue<Named>, rowsInRun = 1): string[] {
  const runs: string[] = [];
  for (let head = queue.first(); head !== undefined; head = queue.first()) {
    queue.begin(head);
    const names: string[] = [];
    for (
      let next: Named | undefined = head, left = rowsInRun;
      next !== undefined && left > 0;
      next = queue.next(head.key)
    ) {
      const rows = Math.min(left, next.feeds.rows - next.taken);
      queue.take(next, rows);
      left -= rows;
      names.push(next.name);
    }
    runs.push(names.join(' '));
  }
  return runs;
}

const queueOf = (...entries: Named[]): RowQueue<Named> => {
  const queue = new RowQueue<Named>();
  for (const one of entries) queue.add(one);
  return queue;
};

test('short requests run in the order of their arrival', () => {
  assert.deepEqual(drain(queueOf(...['a', 'b', 'c', 'd', 'e'].map((name) => entry(name))), 2), ['a b', 'c d', 'e']);
});

test('an entry that is larger than a run is divided, and stays in front', () => {
  assert.deepEqual(drain(queueOf(entry('a', { rows: 5 }), entry('b')), 2), ['a', 'a', 'a b']);
});

test('higher priorities run first; waiting normal rows get every fifth run, low ones every seventeenth', () => {
  const of = (name: string, priority: 0 | 1 | 2, count: number): Named[] =>
    Array.from({ length: count }, () => entry(name, { terms: { cancelled: false, priority } }));
  const runs = drain(queueOf(...of('l', 2, 3), ...of('n', 1, 20), ...of('h', 0, 60)));
  assert.match(runs.join(''), /^(hhhhn){3}hlhhn(hhhhn){2}hhhln/);
  assert.deepEqual([...new Set(runs)].toSorted(), ['h', 'l', 'n']);
  assert.ok(runs.lastIndexOf('h') < runs.lastIndexOf('n'));
});

test('bulk work is of low priority: it fills what short requests leave of a run', () => {
  const stream = { cancelled: false };
  const queue = queueOf(entry('s1', { rows: 4, terms: stream, isBulk: true }), entry('a'), entry('b'));
  assert.deepEqual(drain(queue, 4), ['a b s1', 's1']);
});

test('long requests take turns, chunk by chunk, in the order in which they came', () => {
  const [s, t, u] = [{ cancelled: false }, { cancelled: false }, { cancelled: false }];
  const chunk = (name: string, terms: RequestTerms): Named => entry(name, { terms, isBulk: true });
  const queue = queueOf(chunk('s1', s), chunk('s2', s), chunk('s3', s), chunk('t1', t), chunk('t2', t), chunk('u1', u));
  assert.equal(queue.bulkRequests, 3);
  assert.deepEqual(drain(queue), ['s1', 't1', 'u1', 's2', 't2', 's3']);
  assert.equal(queue.bulkRequests, 0);
});

test('callers take turns: one that sends much does not delay another', () => {
  const of = (name: string, caller: string): Named => entry(name, { terms: { cancelled: false, caller } });
  const queue = queueOf(...['a1', 'a2', 'a3', 'a4'].map((name) => of(name, 'a')), of('b1', 'b'), of('b2', 'b'));
  assert.deepEqual(drain(queue), ['a1', 'b1', 'a2', 'b2', 'a3', 'a4']);
});

test('rows of different keys never share a run, and keys take turns', () => {
  const queue = queueOf(
    entry('a1', { key: 'a' }),
    entry('b1', { key: 'b' }),
    entry('a2', { key: 'a' }),
    entry('b2', { key: 'b' }),
  );
  assert.deepEqual(drain(queue, 1), ['a1', 'b1', 'a2', 'b2']);
  const other = queueOf(
    entry('a1', { key: 'a' }),
    entry('b1', { key: 'b' }),
    entry('a2', { key: 'a' }),
    entry('b2', { key: 'b' }),
  );
  assert.deepEqual(drain(other, 8), ['a1 a2', 'b1 b2']);
});

test('rows before a new one are those of short requests of its priority and above', () => {
  const of = (priority: 0 | 1 | 2, rows: number): Named => entry('', { rows, terms: { cancelled: false, priority } });
  const queue = queueOf(of(0, 1), of(1, 10), of(2, 100), entry('', { rows: 1000, isBulk: true }));
  assert.deepEqual(
    ([0, 1, 2] as const).map((priority) => queue.rowsBefore(priority)),
    [1, 11, 111],
  );
  assert.deepEqual([queue.rows, queue.shortRows], [1111, 111]);
});

test('an entry is removed from any place of its flow, and only the rows of it that are still queued are counted out', () => {
  const [a, b, c] = [entry('a', { rows: 3 }), entry('b'), entry('c')];
  const queue = queueOf(a, b, c);
  queue.discard(b);
  queue.begin(a);
  queue.take(a, 1);
  queue.discard(a);
  assert.deepEqual([queue.rows, drain(queue)], [1, ['c']]);
  queue.discard(c);
  assert.equal(queue.rows, 0);
});

test('in any order of arrivals, runs and removals, rows are counted, none is lost, and none waits for ever', () => {
  const step = fc.record({
    kind: fc.constantFrom('add' as const, 'add' as const, 'run' as const, 'discard' as const, 'remove' as const),
    rows: fc.integer({ min: 1, max: 5 }),
    key: fc.constantFrom('a', 'b'),
    priority: fc.constantFrom(undefined, 0 as const, 1 as const, 2 as const),
    who: fc.nat(2),
    isBulk: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new RowQueue<Named>();
      const terms = new Map<string, RequestTerms>();
      const queued = new Map<string, Named>();
      let removed = 0;
      let taken = 0;
      let added = 0;

      function run(rowsInRun: number): void {
        const head = queue.first();
        if (head === undefined) return;
        queue.begin(head);
        for (
          let next: Named | undefined = head, left = rowsInRun;
          next !== undefined && left > 0;
          next = queue.next(head.key)
        ) {
          assert.equal(next.key, head.key);
          const rows = Math.min(left, next.feeds.rows - next.taken);
          queue.take(next, rows);
          left -= rows;
          taken += rows;
          if (next.taken === next.feeds.rows) queued.delete(next.name);
        }
      }

      for (const [i, { kind, rows, key, priority, who, isBulk }] of steps.entries()) {
        if (kind === 'add') {
          const id = `${who} ${priority}`;
          if (!terms.has(id)) terms.set(id, { cancelled: false, priority, caller: `caller ${who}` });
          const one = entry(String(i), { rows, key, terms: terms.get(id)!, isBulk });
          queued.set(one.name, one);
          queue.add(one);
          added += rows;
        } else if (kind === 'run') run(rows);
        else if (kind === 'discard') {
          const [one] = queued.values();
          if (one === undefined) continue;
          removed += one.feeds.rows - one.taken;
          queue.discard(one);
          queued.delete(one.name);
        } else {
          const before = queue.rows;
          const ended = queue.remove(({ feeds, isBulk: bulk }) => feeds.rows === rows && bulk === isBulk);
          removed += before - queue.rows;
          for (const one of ended) {
            // As for a part of it that is to run once more: there is nothing left to remove.
            queue.discard(one);
            queued.delete(one.name);
          }
        }
        const inQueue = [...queued.values()];
        const rowsOf = (some: Named[]): number => some.reduce((sum, { feeds, taken }) => sum + feeds.rows - taken, 0);
        assert.equal(queue.rows, rowsOf(inQueue));
        assert.equal(queue.shortRows, rowsOf(inQueue.filter((one) => !one.isBulk)));
        assert.equal(queue.bulkRequests, new Set(inQueue.filter((one) => one.isBulk).map((one) => one.terms)).size);
        assert.deepEqual(new Set(queue.entries()), new Set(inQueue));
      }
      for (let runs = 0; queue.rows > 0; runs++) {
        assert.ok(runs < 1000);
        run(2);
      }
      assert.deepEqual([added, queued.size], [taken + removed, 0]);
    }),
    { numRuns: 500 },
  );
});
