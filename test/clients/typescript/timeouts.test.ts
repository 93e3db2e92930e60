import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { type TestContext, test } from 'node:test';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';
import { createDeadline, createIdleWatch, createStall } from '../../../clients/typescript/src/timeouts.ts';

/** Timers and `performance.now()` of one clock, which only the test moves on. */
function useClock(t: TestContext): (ms: number) => void {
  let now = 0;
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(performance, 'now', () => now);
  return (ms) => {
    // A timer that is set within a tick counts from the end of it.
    const step = ms > 10_000 ? ms : 1;
    for (let passed = 0; passed < ms; passed += step) {
      now += step;
      t.mock.timers.tick(step);
    }
  };
}

test('when its time is over a deadline aborts with TIMEOUT, and cuts a wait short', async (t) => {
  const pass = useClock(t);
  const deadline = createDeadline(undefined, 5);
  const wait = deadline.wait(60_000);
  pass(4);
  assert.equal(deadline.left(), 1);
  assert.equal(deadline.signal.aborted, false);
  pass(1);
  await assert.rejects(
    wait,
    (error: unknown) => error instanceof ClientError && error.code === 'TIMEOUT' && /within 5 ms/.test(error.message),
  );
  assert.deepEqual([deadline.signal.aborted, deadline.left()], [true, 0]);
  deadline.end();
});

test('a deadline further away than a timer can be set is kept', (t) => {
  const pass = useClock(t);
  const deadline = createDeadline(undefined, 2 ** 31 + 10);
  pass(2 ** 31 - 1);
  assert.equal(deadline.signal.aborted, false);
  pass(11);
  assert.equal(deadline.signal.aborted, true);
});

test("a deadline is aborted with the caller's reason, also if the caller aborted before", async () => {
  const caller = new AbortController();
  const deadline = createDeadline(caller.signal, 60_000);
  const waiting = deadline.wait(60_000);
  caller.abort('enough');
  await assert.rejects(waiting, (reason: unknown) => reason === 'enough');
  deadline.end();
  const late = createDeadline(caller.signal, 60_000);
  assert.equal(late.signal.reason, 'enough');
  await assert.rejects(late.wait(1), (reason: unknown) => reason === 'enough');
  late.end();
});

test("the end of a deadline leaves no listener at the caller's signal", () => {
  const { signal } = new AbortController();
  const deadline = createDeadline(signal, 60_000);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  deadline.end();
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});

test('a result that is expected and late ends the request after the timeout', (t) => {
  const pass = useClock(t);
  const watch = createIdleWatch(new AbortController().signal, 20, () => 0);
  watch.waits(true);
  pass(19);
  assert.equal(watch.signal.aborted, false);
  pass(1);
  const { reason } = watch.signal;
  assert.ok(reason instanceof ClientError && reason.code === 'TIMEOUT');
});

test('the time that the caller takes for a row does not count', (t) => {
  const pass = useClock(t);
  const watch = createIdleWatch(new AbortController().signal, 20, () => 0);
  pass(1010);
  watch.waits(true);
  pass(19);
  assert.equal(watch.signal.aborted, false);
  pass(1);
  assert.equal(watch.signal.aborted, true);
});

test('the end of a watch aborts, and leaves no listener at the signal of the caller', () => {
  const caller = new AbortController().signal;
  const watch = createIdleWatch(caller, 60_000, () => undefined);
  watch.end();
  assert.ok(watch.signal.aborted);
  assert.equal(getEventListeners(caller, 'abort').length, 0);
});

test("the caller's reason comes through a watch", () => {
  const caller = new AbortController();
  const watch = createIdleWatch(caller.signal, 60_000, () => undefined);
  caller.abort('enough');
  assert.equal(watch.signal.reason, 'enough');
  watch.end();
});

test('a response that does not begin in time has stalled, for good', async (t) => {
  const pass = useClock(t);
  const stall = createStall(5);
  assert.equal(stall.state(), 'waiting');
  pass(5);
  await stall.over;
  assert.equal(stall.state(), 'stalled');
  stall.end();
  assert.equal(stall.state(), 'stalled');
});

test('a response that begins in time has not stalled', (t) => {
  const pass = useClock(t);
  const stall = createStall(60_000);
  stall.end();
  pass(60_000);
  assert.equal(stall.state(), 'answered');
});
