import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRefusalPace } from '../../../functions/http/connection/refusal-pace.ts';
import { createClock } from '../../helpers/clock.ts';
import { mockTimers } from '../../helpers/mock-timers.ts';

/** A pace, and how many of the refusals that had to wait have been sent. */
function createPace(t: Parameters<typeof mockTimers>[0]) {
  const clock = createClock();
  const move = mockTimers(t);
  const pace = createRefusalPace(clock.now);
  const sent: number[] = [];
  return {
    pace,
    sent,
    /** Refuses so many. @returns how many of them were sent at once. */
    refuse(count: number): number {
      let atOnce = 0;
      for (let i = 0; i < count; i++) {
        const wait = pace.wait();
        if (wait === undefined) atOnce++;
        else void wait.then(() => sent.push(clock.now()));
      }
      return atOnce;
    },
    async pass(ms: number): Promise<void> {
      for (let at = 0; at < ms; at += 10) {
        clock.pass(10);
        move(10);
        await Promise.resolve();
      }
    },
  };
}

test('fewer than 2000 refusals a second are sent at once', async (t) => {
  const { refuse, pass } = createPace(t);
  for (let second = 0; second < 3; second++) {
    for (let tick = 0; tick < 100; tick++) {
      assert.equal(refuse(19), 19);
      await pass(10);
    }
  }
});

test('of a flood, 200 refusals are sent at once and then 2000 a second, in their order', async (t) => {
  const { pace, refuse, pass, sent } = createPace(t);
  assert.equal(refuse(1000), 200);
  await pass(100);
  assert.equal(sent.length, 200);
  assert.equal(refuse(1), 0, 'a later refusal overtakes those that wait');
  await pass(300);
  assert.equal(sent.length, 800);
  const order: string[] = [];
  for (let i = 0; i < 200; i++) pace.wait();
  for (const name of ['first', 'second']) void pace.wait()?.then(() => order.push(name));
  await pass(200);
  assert.deepEqual(order, ['first', 'second']);
});

test('no refusal waits longer than a second', async (t) => {
  const { refuse, pass, sent } = createPace(t);
  refuse(20_000);
  await pass(990);
  assert.ok(sent.length < 2500);
  await pass(10);
  assert.equal(sent.length, 19_800);
});

test('a shutdown sends all refusals that wait, and later ones at once', async (t) => {
  const { pace, refuse, sent } = createPace(t);
  refuse(1000);
  pace.stop();
  await Promise.resolve();
  assert.equal(sent.length, 800);
  assert.equal(refuse(1000), 1000);
});
