import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { startStallGuard } from '../../../../functions/model/sources/gcs/stall-guard.ts';
import { useClock } from '../gcs-kit.ts';

test('calls once after the time without a byte, counted from the last one', async (t) => {
  const pass = useClock(t);
  let stalls = 0;
  const guard = startStallGuard(100, () => {
    stalls += 1;
  });
  pass(60);
  guard.alive();
  pass(60);
  await turn();
  pass(39);
  await turn();
  assert.equal(stalls, 0);
  pass(1);
  await turn();
  assert.equal(stalls, 1);
  pass(1_000);
  await turn();
  assert.equal(stalls, 1);
});

test('bytes that wait in the socket after a pause of the process are no stall', async (t) => {
  const pass = useClock(t);
  const guard = startStallGuard(100, () => assert.fail('stalled'));
  pass(5_000);
  // Node reads sockets after its timers, and before what setImmediate was given.
  guard.alive();
  await turn();
  guard.stop();
});

test('calls nothing when it is stopped, also between the timer and its check', async (t) => {
  const pass = useClock(t);
  const guard = startStallGuard(100, () => assert.fail('stalled'));
  pass(100);
  guard.stop();
  await turn();
  pass(1_000);
  await turn();
});
