import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createRefresher } from '../../../functions/model/repository/refresher.ts';

/** A refresher whose checks never end. */
function setUp(t: TestContext, everyMs: number, onRequests: boolean) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let checks = 0;
  const refresher = createRefresher(
    () => {
      checks++;
      return new Promise(() => {});
    },
    everyMs,
    onRequests,
  );
  t.after(refresher.close);
  return {
    refresher,
    checks: () => checks,
    pass(ms: number) {
      now += ms;
      t.mock.timers.tick(ms);
    },
  };
}

test('a timer checks at intervals, also while the updates of an earlier check are under way', (t) => {
  const { checks, pass } = setUp(t, 1000, false);
  pass(940);
  assert.equal(checks(), 0);
  pass(120);
  assert.equal(checks(), 1);
  pass(880);
  assert.equal(checks(), 1);
  pass(180);
  assert.equal(checks(), 2);
});

test('with onRequests there is no timer: a due check starts after a request has started', (t) => {
  const { refresher, checks, pass } = setUp(t, 1000, true);
  assert.equal(refresher.runsOnRequests, true);
  pass(10_000);
  assert.equal(checks(), 0);
  refresher.onRequest();
  assert.equal(checks(), 0, 'the request goes first');
  refresher.onRequest();
  pass(0);
  assert.equal(checks(), 1);
  refresher.onRequest();
  pass(940);
  refresher.onRequest();
  pass(0);
  assert.equal(checks(), 1, 'not due');
  pass(120);
  refresher.onRequest();
  pass(0);
  assert.equal(checks(), 2);
});

test('with an interval of 0 there are no checks', (t) => {
  const never = setUp(t, 0, true);
  assert.equal(never.refresher.runsOnRequests, false);
  never.pass(100_000);
  never.refresher.onRequest();
  never.pass(1);
  assert.equal(never.checks(), 0);
});

test('after close there are no more checks', (t) => {
  const { refresher, checks, pass } = setUp(t, 1000, false);
  refresher.close();
  pass(10_000);
  assert.equal(checks(), 0);
});
