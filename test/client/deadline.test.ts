import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { ClientError } from '../../functions/client/client-error.ts';
import { createDeadline } from '../../functions/client/deadline.ts';

test('when its time is over it aborts with TIMEOUT, and cuts a wait short', async () => {
  const deadline = createDeadline(undefined, 5);
  await assert.rejects(
    deadline.wait(60_000),
    (error: unknown) => error instanceof ClientError && error.code === 'TIMEOUT' && /within 5 ms/.test(error.message),
  );
  assert.ok(deadline.signal.aborted && deadline.left() < 2);
  deadline.end();
});

test("the caller's abort comes through with the caller's reason, also where it came before", async () => {
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

test("its end leaves nothing behind at the caller's signal", () => {
  const { signal } = new AbortController();
  const deadline = createDeadline(signal, 60_000);
  assert.equal(getEventListeners(signal, 'abort').length, 1);
  deadline.end();
  assert.equal(getEventListeners(signal, 'abort').length, 0);
});
