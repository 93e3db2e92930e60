import assert from 'node:assert/strict';
import { getEventListeners, once } from 'node:events';
import { test } from 'node:test';
import { ClientError } from '../../functions/client/client-error.ts';
import { createIdleWatch } from '../../functions/client/idle-watch.ts';

test('an answer that is owed and waited for is given up after the time', async () => {
  const since = performance.now();
  const watch = createIdleWatch(new AbortController().signal, 20, () => since);
  watch.waits(true);
  await once(watch.signal, 'abort');
  const { reason } = watch.signal;
  assert.ok(reason instanceof ClientError && reason.code === 'TIMEOUT');
  assert.ok(performance.now() - since >= 19);
});

test('its end aborts, and leaves nothing at the signal of the caller', () => {
  const caller = new AbortController().signal;
  const watch = createIdleWatch(caller, 60_000, () => undefined);
  watch.end();
  assert.ok(watch.signal.aborted);
  assert.equal(getEventListeners(caller, 'abort').length, 0);
});

test("the caller's reason comes through", () => {
  const caller = new AbortController();
  const watch = createIdleWatch(caller.signal, 60_000, () => undefined);
  caller.abort('enough');
  assert.equal(watch.signal.reason, 'enough');
  watch.end();
});
