import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createUsageCount } from '../../../functions/model/serving/usage-count.ts';

test('a count is drained when the last user has released it', async () => {
  const holds = createUsageCount();
  holds.hold();
  holds.hold();
  let gone = false;
  const left = holds.drained().then(() => {
    gone = true;
  });
  await turn();
  holds.release();
  await turn();
  await turn();
  assert.equal(gone, false);
  holds.release();
  await left;
});

test('draining waits for a hold in the turn in which it starts', async () => {
  const holds = createUsageCount();
  let gone = false;
  const left = holds.drained().then(() => {
    gone = true;
  });
  await Promise.resolve();
  holds.hold();
  await turn();
  await turn();
  assert.equal(gone, false);
  holds.release();
  await left;
});

test('a user that stays gets the signal superseded after a time', async () => {
  const holds = createUsageCount(1);
  holds.hold();
  const left = holds.drained();
  // The timer itself keeps no process alive.
  const alive = setInterval(() => {}, 1000);
  await once(holds.superseded, 'abort');
  clearInterval(alive);
  holds.release();
  await left;
});

test('there is no signal if all users release it in time', async () => {
  const holds = createUsageCount();
  await holds.drained();
  assert.equal(holds.superseded.aborted, false);
});

test('a count that has not been held yet is not idle at first: its first user will hold it soon', (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const holds = createUsageCount();
  assert.equal(holds.idle(), false);
  now += 101;
  assert.equal(holds.idle(), true);
  holds.hold();
  assert.equal(holds.idle(), false);
  now += 1;
  holds.release();
  assert.equal(holds.idle(), true);
  assert.equal(holds.lastUsed(), now);
});
