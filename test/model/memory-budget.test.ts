import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  createBudget,
  type Evictable,
  type MemoryBudget,
  type Reservation,
} from '../../functions/model/memory-budget.ts';

const MIB = 2 ** 20;

function tenant(
  budget: MemoryBudget,
  room: Reservation,
  lastUsed: number,
  idle = true,
): Evictable & { unloaded: boolean } {
  const made = {
    unloaded: false,
    lastUsed: () => lastUsed,
    idle: () => idle && !made.unloaded,
    async unload() {
      made.unloaded = true;
      room.release();
    },
  };
  budget.join(made);
  return made;
}

async function takeAll(budget: MemoryBudget, bytes: number): Promise<Reservation> {
  const room = await budget.take(bytes);
  assert.ok(room);
  return room;
}

test('where nothing limits it everything fits', async () => {
  const budget = createBudget(undefined);
  await takeAll(budget, 2 ** 50);
  assert.equal(budget.used(), 2 ** 50);
  assert.equal(budget.free(), Number.POSITIVE_INFINITY);
});

test('the least recently used tenants make room, as many as it takes and no more', async () => {
  const budget = createBudget(100);
  const oldest = tenant(budget, await takeAll(budget, 30), 1);
  const newest = tenant(budget, await takeAll(budget, 30), 3);
  const middle = tenant(budget, await takeAll(budget, 30), 2);
  await takeAll(budget, 50);
  assert.deepEqual([oldest.unloaded, middle.unloaded, newest.unloaded], [true, true, false]);
  assert.equal(budget.used(), 80);
});

test('tenants that are busy are left alone, and what then does not fit is not taken', async () => {
  const budget = createBudget(100);
  const busy = tenant(budget, await takeAll(budget, 90), 1, false);
  assert.equal(await budget.take(20), undefined);
  assert.equal(busy.unloaded, false);
  assert.equal(budget.used(), 90);
});

test('what fits as it is waits for nobody', async () => {
  const budget = createBudget(100);
  const room = await takeAll(budget, 90);
  const large = budget.wait(80, 'large');
  await budget.wait(5, 'small');
  room.release();
  await large;
});

test('a wait ends when room is given back, first come first served', async () => {
  const budget = createBudget(100);
  const room = await takeAll(budget, 90);
  const order: string[] = [];
  const large = budget.wait(80, 'large').then(() => order.push('large'));
  const small = budget.wait(15, 'small').then(() => order.push('small'));
  room.release();
  await Promise.all([large, small]);
  assert.deepEqual(order, ['large', 'small']);
});

test('what could never fit is refused at once, with both sizes and where the limit comes from', async () => {
  await assert.rejects(createBudget(100 * MIB).wait(200 * MIB, 'the model x'), {
    code: 'MODEL_FAILED',
    message: 'the model x needs about 200 MiB of memory, and the memory limit leaves 100 MiB',
  });
  await assert.rejects(
    createBudget(100 * MIB, true).wait(200 * MIB, 'the model x'),
    /MODEL_MEMORY_BUDGET leaves 100 MiB/,
  );
});

test('a wait for tenants that stay busy ends with NOT_READY, and the next in line gets its turn', async (t) => {
  const budget = createBudget(100);
  tenant(budget, await takeAll(budget, 90), 1, false);
  let now = 0;
  t.mock.method(performance, 'now', () => {
    now += 15_000;
    return now;
  });
  await assert.rejects(budget.wait(50, 'the model x'), {
    code: 'NOT_READY',
    retryAfter: 1,
    message: /every loaded model is in use/,
  });
  await budget.wait(10, 'the model y');
});

test('a share can grow and shrink, and is given back once', async () => {
  const budget = createBudget(100);
  const room = await takeAll(budget, 10);
  room.resize(60);
  assert.deepEqual([budget.used(), room.bytes, budget.free()], [60, 60, 40]);
  room.release();
  room.release();
  room.resize(5);
  assert.equal(budget.used(), 0);
});

test('whatever is taken and given back, the limit is kept and the books come out even', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 60 }), give: fc.boolean() }), { maxLength: 40 }),
      async (steps) => {
        const budget = createBudget(100);
        const rooms: Reservation[] = [];
        for (const { bytes, give } of steps) {
          if (give) rooms.shift()?.release();
          const room = await budget.take(bytes);
          if (room !== undefined) rooms.push(room);
          assert.ok(budget.used() <= 100);
          assert.equal(
            budget.used(),
            rooms.reduce((sum, one) => sum + one.bytes, 0),
          );
        }
      },
    ),
  );
});
