import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createTimeSlices } from '../../functions/http/time-slice.ts';

/** A clock that goes on by a millisecond for each step of work, and what was done in each turn of the event loop. */
function setUp() {
  let now = 0;
  const slices = createTimeSlices(5, () => now);
  const turns: string[][] = [[]];
  async function work(name: string, steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      now++;
      turns.at(-1)!.push(name);
      const pause = slices.wait();
      if (pause !== undefined) await pause;
    }
  }
  async function watch(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await turn();
      turns.push([]);
    }
  }
  return { slices, turns, work, watch };
}

test('a short computation never waits', async () => {
  const { turns, work } = setUp();
  await work('a', 5);
  assert.deepEqual(turns, [['a', 'a', 'a', 'a', 'a']]);
});

test('a long computation is done in slices, one in each turn of the event loop', async () => {
  const { turns, work, watch } = setUp();
  const [done] = await Promise.all([work('a', 100).then(() => turns.length), watch(200)]);
  assert.ok(done >= 15, `100 steps in ${done} turns`);
  // The first slice and the one after it may come before the first turn that is watched.
  for (const steps of turns.slice(1)) assert.ok(steps.length <= 7, `${steps.length} steps in one turn`);
});

test('several long computations share one slice in each turn, and all of them end', async () => {
  const { turns, work, watch } = setUp();
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
  const all = Promise.all(names.map((name) => work(name, 20)));
  await Promise.all([all, watch(1000)]);
  // Each starts with a step of its own, before it asks.
  for (const steps of turns.slice(1)) assert.ok(steps.length <= 7, `${steps.length} steps in one turn`);
  const counts = Map.groupBy(turns.flat(), (name) => name);
  for (const name of names) assert.equal(counts.get(name)?.length, 20);
});

test('after a pause the next computation starts at once', async () => {
  const { slices, work } = setUp();
  await work('a', 50);
  for (let i = 0; i < 3; i++) await turn();
  assert.equal(slices.wait(), undefined);
});
