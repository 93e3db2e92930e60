import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWaiters } from '../../../functions/telemetry/log/waiters.ts';

test('all waiters resolve at the next wake', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const waiters = createWaiters();
  const both = Promise.all([waiters.wait(1000), waiters.wait(2000)]);
  waiters.wake();
  await both;
});

test('a wait without a wake resolves after its timeout, and not before', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let over = false;
  const wait = createWaiters()
    .wait(1000)
    .then(() => {
      over = true;
    });
  t.mock.timers.tick(999);
  await Promise.resolve();
  assert.equal(over, false);
  t.mock.timers.tick(1);
  await wait;
});
