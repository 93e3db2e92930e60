import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { Activity } from '../../functions/model/activity.ts';
import { type Evictable, MemoryBudget, type Reservation } from '../../functions/model/memory-budget.ts';

const MIB = 2 ** 20;
const POLL_MS = 25;

function evictable(
  budget: MemoryBudget,
  reservation: Reservation,
  lastUsed: number,
  isIdle = true,
  usedSeconds = 0,
): Evictable & { evicted: boolean; isIdle: boolean } {
  const made = {
    isIdle,
    evicted: false,
    bytes: () => reservation.bytes,
    lastUsed: () => lastUsed,
    usedSeconds: () => usedSeconds,
    idle: () => made.isIdle && !made.evicted,
    async evict() {
      made.evicted = true;
      await Promise.resolve();
      reservation.release();
    },
  };
  budget.register(made);
  return made;
}

const reserve = (budget: MemoryBudget, bytes: number): Promise<Reservation> => budget.reserve(bytes, 'the model x');

test('without a limit everything fits', async () => {
  const budget = new MemoryBudget(undefined);
  await reserve(budget, 2 ** 50);
  assert.equal(budget.used(), 2 ** 50);
  assert.equal(budget.free(), Number.POSITIVE_INFINITY);
});

test('the least recently used models are evicted, as many as necessary', async () => {
  const budget = new MemoryBudget(100);
  const oldest = evictable(budget, await reserve(budget, 30), 1);
  const newest = evictable(budget, await reserve(budget, 30), 3);
  const middle = evictable(budget, await reserve(budget, 30), 2);
  await reserve(budget, 50);
  assert.deepEqual([oldest.evicted, middle.evicted, newest.evicted], [true, true, false]);
  assert.equal(budget.used(), 80);
});

test('busy models are not evicted, and bytes that then do not fit are not reserved', async () => {
  const budget = new MemoryBudget(100);
  const busy = evictable(budget, await reserve(budget, 90), 1, false);
  assert.equal(await budget.reserveForUpdate(20), undefined);
  assert.equal(busy.evicted, false);
  assert.equal(budget.used(), 90);
});

test('a reservation that fits does not wait', async () => {
  const budget = new MemoryBudget(100);
  const reservation = await reserve(budget, 90);
  const large = budget.reserve(80, 'large');
  await budget.reserve(5, 'small');
  reservation.release();
  await large;
});

test('waits end when memory is released, in the order of the calls', async () => {
  const budget = new MemoryBudget(100);
  const reservation = await reserve(budget, 90);
  const order: string[] = [];
  const large = budget.reserve(80, 'large').then(() => order.push('large'));
  const small = budget.reserve(15, 'small').then(() => order.push('small'));
  reservation.release();
  await Promise.all([large, small]);
  assert.deepEqual(order, ['large', 'small']);
});

test('a reservation that can never fit is refused at once, with both sizes and the origin of the limit', async () => {
  await assert.rejects(new MemoryBudget(100 * MIB).reserve(200 * MIB, 'the model x'), {
    code: 'MODEL_FAILED',
    message: 'the model x needs about 200 MiB of memory, and the memory limit leaves 100 MiB',
  });
  await assert.rejects(
    new MemoryBudget(100 * MIB, true).reserve(200 * MIB, 'the model x'),
    /MODEL_MEMORY_BUDGET leaves 100 MiB/,
  );
});

test('a wait for models that stay busy ends with NOT_READY, and the next one gets its turn', async (t) => {
  const budget = new MemoryBudget(100);
  evictable(budget, await reserve(budget, 90), 1, false);
  let now = 0;
  t.mock.method(performance, 'now', () => {
    now += 15_000;
    return now;
  });
  await assert.rejects(budget.reserve(50, 'the model x'), {
    code: 'NOT_READY',
    retryAfter: 1,
    message: /every loaded model is in use/,
  });
  await budget.reserve(10, 'the model y');
});

test('an update that does not fit waits for another to settle, and evicts nothing for it', async () => {
  const budget = new MemoryBudget(100);
  const idle = evictable(budget, await reserve(budget, 40), 1);
  const serving = await reserve(budget, 30);
  const first = await budget.reserveForUpdate(30);
  const order: string[] = [];
  const second = budget.reserveForUpdate(30).then(() => order.push('second'));
  first!.resize(31);
  first!.resize(30);
  await Promise.resolve();
  order.push('settled');
  serving.release();
  first!.settle();
  await second;
  assert.deepEqual(order, ['settled', 'second']);
  assert.equal(idle.evicted, false);
});

test('of two updates that are requested in the same tick, the second waits for the first and evicts nothing', async () => {
  const budget = new MemoryBudget(100);
  const serving = await reserve(budget, 60);
  const oldest = evictable(budget, await reserve(budget, 20), 1);
  const newest = evictable(budget, await reserve(budget, 20), 2);
  const updates = [budget.reserveForUpdate(20), budget.reserveForUpdate(20)] as const;
  const first = await updates[0];
  await setImmediate();
  assert.deepEqual([oldest.evicted, newest.evicted], [true, false]);
  serving.resize(40);
  first!.settle();
  assert.ok(await updates[1]);
  assert.equal(newest.evicted, false);
});

test('nothing is evicted for bytes that do not fit beside the busy models, or are larger than the limit', async () => {
  const budget = new MemoryBudget(1000);
  await reserve(budget, 600);
  const models: ReturnType<typeof evictable>[] = [];
  for (const lastUsed of [1, 2, 3]) models.push(evictable(budget, await reserve(budget, 100), lastUsed));
  for (const bytes of [401, 600, 1001]) {
    assert.equal(await budget.reserveForUpdate(bytes), undefined);
  }
  assert.deepEqual(
    models.map(({ evicted }) => evicted),
    [false, false, false],
  );
  assert.ok(await budget.reserveForUpdate(400), 'bytes that fit in place of all idle models');
});

test('bytes larger than the limit are refused without a wait for other reservations', async () => {
  const budget = new MemoryBudget(100);
  const reservation = await reserve(budget, 90);
  const waiting = budget.reserve(50, 'the model x');
  assert.equal(await budget.reserveForUpdate(101), undefined);
  reservation.release();
  await waiting;
});

test('a load that waits evicts models as they become idle, and none while memory that stays in use leaves too little', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const budget = new MemoryBudget(100);
  const other = await reserve(budget, 20);
  const first = evictable(budget, await reserve(budget, 40), 1);
  const second = evictable(budget, await reserve(budget, 40), 2, false);
  const waiting = budget.reserve(90, 'the model x');
  await setImmediate();
  assert.equal(first.evicted, false);
  other.release();
  await setImmediate();
  assert.deepEqual([first.evicted, second.evicted], [true, false]);
  second.isIdle = true;
  t.mock.timers.tick(POLL_MS);
  await waiting;
  assert.equal(second.evicted, true);
});

test('a wait of many polls is woken once, and leaves nothing behind', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const budget = new MemoryBudget(100);
  const reservation = await reserve(budget, 90);
  const waiting = budget.reserve(50, 'the model x');
  for (let polls = 0; polls < 10; polls++) {
    await setImmediate();
    t.mock.timers.tick(POLL_MS);
  }
  await setImmediate();
  // Each wait that is woken clears its timer.
  const cleared = t.mock.method(globalThis, 'clearTimeout').mock;
  reservation.release();
  assert.equal(cleared.callCount(), 1);
  (await waiting).release();
  assert.equal(cleared.callCount(), 1);
});

test('a single update evicts idle models, and one that can never fit is refused at once', async () => {
  const budget = new MemoryBudget(100);
  const idle = evictable(budget, await reserve(budget, 90), 1);
  assert.ok(await budget.reserveForUpdate(20));
  assert.equal(idle.evicted, true);
  assert.equal(await budget.reserveForUpdate(101), undefined);
});

test('a reservation can grow and shrink, and is released once', async () => {
  const budget = new MemoryBudget(100);
  const reservation = await reserve(budget, 10);
  reservation.resize(60);
  assert.deepEqual([budget.used(), reservation.bytes, budget.free()], [60, 60, 40]);
  reservation.release();
  reservation.release();
  reservation.resize(5);
  assert.equal(budget.used(), 0);
});

test('in any order of reservations and releases, the limit is not exceeded and the sum is right', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 60 }), give: fc.boolean() }), { maxLength: 40 }),
      async (steps) => {
        const budget = new MemoryBudget(100);
        const reservations: Reservation[] = [];
        for (const { bytes, give } of steps) {
          if (give) reservations.shift()?.release();
          const reservation = await budget.reserveForUpdate(bytes);
          reservation?.settle();
          if (reservation !== undefined) reservations.push(reservation);
          assert.ok(budget.used() <= 100);
          assert.equal(
            budget.used(),
            reservations.reduce((sum, one) => sum + one.bytes, 0),
          );
        }
      },
    ),
  );
});

test('a model in steady use is not evicted for a request: it is refused at once, and told when to try again', async () => {
  const budget = new MemoryBudget(100);
  const steady = evictable(budget, await reserve(budget, 60), 1, true, 5);
  await assert.rejects(
    budget.reserve(60, 'the model x', () => 10),
    { code: 'NOT_READY', retryAfter: 5, message: /^no room for the model x at present: every loaded model is in use/ },
  );
  assert.equal(await budget.reserveForUpdate(60, () => 10), undefined);
  assert.equal(steady.evicted, false);
  await budget.reserve(60, 'the model behind /predict');
  assert.equal(steady.evicted, true, 'the operator loads it');
});

test('a request evicts only models that are used no more than the one that it names, the least used first', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const budget = new MemoryBudget(100);
  const used = evictable(budget, await reserve(budget, 40), 1, true, 3);
  const recent = evictable(budget, await reserve(budget, 40), 2, true, 1);
  let requested = 1;
  await budget.reserve(30, 'the model x', () => requested);
  assert.deepEqual([used.evicted, recent.evicted], [false, true]);
  const waiting = budget.reserve(60, 'the model y', () => requested);
  await setImmediate();
  assert.equal(used.evicted, false);
  requested = 3;
  t.mock.timers.tick(POLL_MS);
  await waiting;
  assert.equal(used.evicted, true);
});

test('without a limit of memory the number of loaded models is limited; a newer version of one of them does not count', async () => {
  const budget = new MemoryBudget(undefined, false, 2);
  const first = evictable(budget, await reserve(budget, 1), 1);
  const second = await reserve(budget, 1);
  const update = await budget.reserveForUpdate(1);
  assert.ok(update);
  assert.equal(first.evicted, false);
  second.release();
  update.settle();
  await reserve(budget, 1);
  assert.equal(first.evicted, true);
});

test('a load that the number of models refuses names MAX_LOADED_MODELS', async () => {
  const budget = new MemoryBudget(undefined, false, 1);
  evictable(budget, await reserve(budget, 1), 1, true, 9);
  await assert.rejects(
    budget.reserve(1, 'the model x', () => 1),
    { code: 'NOT_READY', message: /every loaded model is in use \(MAX_LOADED_MODELS is 1\)$/ },
  );
});

/** A model of the simulation. */
interface Simulated {
  readonly activity: Activity;
  reservation: Reservation | undefined;
  evictions: number;
  usedAt: number;
}

test('whatever others request and however often, a model in steady use is not evicted, and the limit is not exceeded', async (t) => {
  let now = 0;
  let requested: Simulated[] = [];
  const pass = (ms: number): void => {
    // Requests go on while one waits for memory.
    for (const end = now + ms; now < end; now += 500) for (const { activity } of requested) activity.mark(now);
  };
  t.mock.method(performance, 'now', () => now);
  t.mock.method(globalThis, 'setTimeout', (run: () => void) => {
    pass(2000);
    queueMicrotask(run);
  });
  const request = fc.record({
    ms: fc.constantFrom(0, 500, 1000),
    model: fc.integer({ min: 1, max: 3 }),
    times: fc.integer({ min: 1, max: 3 }),
  });

  function simulate(budget: MemoryBudget): Simulated {
    const model: Simulated = { activity: new Activity(), reservation: undefined, evictions: 0, usedAt: 0 };
    budget.register({
      bytes: () => model.reservation?.bytes ?? 0,
      lastUsed: () => model.usedAt,
      usedSeconds: () => model.activity.seconds(now),
      idle: () => model.reservation !== undefined,
      async evict() {
        model.evictions++;
        model.reservation?.release();
        model.reservation = undefined;
      },
    });
    return model;
  }

  async function use(budget: MemoryBudget, model: Simulated): Promise<void> {
    model.activity.mark(now);
    model.usedAt = now;
    const refused = (): undefined => undefined;
    model.reservation ??= await budget.reserve(100, 'x', () => model.activity.seconds(now)).catch(refused);
  }

  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 20, maxLength: 60 }), async (requests) => {
      now = 0;
      const budget = new MemoryBudget(200);
      const models = Array.from({ length: 4 }, () => simulate(budget));
      const steady = models[0]!;
      requested = [steady];
      await use(budget, steady);
      pass(6000);
      for (const { ms, model, times } of requests) {
        pass(ms);
        requested.push(models[model]!);
        for (let i = 0; i < times; i++) await use(budget, models[model]!);
        assert.ok(budget.used() <= 200);
        assert.equal(steady.evictions, 0);
      }
    }),
    { numRuns: 50 },
  );
});
