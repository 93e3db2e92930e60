import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Evictable, MemoryBudget, type Reservation } from '../../functions/model/memory-budget.ts';

const MIB = 2 ** 20;

function evictable(
  budget: MemoryBudget,
  reservation: Reservation,
  lastUsed: number,
  idle = true,
): Evictable & { evicted: boolean } {
  const made = {
    evicted: false,
    lastUsed: () => lastUsed,
    idle: () => idle && !made.evicted,
    async evict() {
      made.evicted = true;
      reservation.release();
    },
  };
  budget.register(made);
  return made;
}

async function reserve(budget: MemoryBudget, bytes: number): Promise<Reservation> {
  const reservation = await budget.tryReserve(bytes);
  assert.ok(reservation);
  return reservation;
}

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
  assert.equal(await budget.tryReserve(20), undefined);
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
          const reservation = await budget.tryReserve(bytes);
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
