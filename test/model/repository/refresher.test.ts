import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createRefresher } from '../../../functions/model/repository/refresher.ts';

function setUp(t: TestContext, everyMs: number, onRequests: boolean) {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let looks = 0;
  let over = Promise.withResolvers<void>();
  const refresher = createRefresher(
    () => {
      looks++;
      over = Promise.withResolvers();
      return over.promise;
    },
    everyMs,
    onRequests,
  );
  t.after(refresher.close);
  return {
    refresher,
    looks: () => looks,
    pass(ms: number) {
      now += ms;
      t.mock.timers.tick(ms);
    },
    async finish() {
      over.resolve();
      for (let i = 0; i < 5; i++) await Promise.resolve();
    },
  };
}

test('a timer looks again and again, an interval after the last look is over', async (t) => {
  const { looks, pass, finish } = setUp(t, 1000, false);
  pass(940);
  assert.equal(looks(), 0);
  pass(120);
  assert.equal(looks(), 1);
  pass(5000);
  assert.equal(looks(), 1, 'one at a time');
  await finish();
  pass(940);
  assert.equal(looks(), 1);
  pass(120);
  assert.equal(looks(), 2);
});

test('on requests there is no timer: a look starts with a request once it is due, behind it', async (t) => {
  const { refresher, looks, pass, finish } = setUp(t, 1000, true);
  assert.equal(refresher.ridesOnRequests, true);
  pass(10_000);
  assert.equal(looks(), 0);
  refresher.onRequest();
  assert.equal(looks(), 0, 'the request goes first');
  refresher.onRequest();
  pass(0);
  assert.equal(looks(), 1);
  refresher.onRequest();
  pass(0);
  assert.equal(looks(), 1);
  await finish();
  refresher.onRequest();
  pass(0);
  assert.equal(looks(), 1, 'not due');
  pass(1100);
  refresher.onRequest();
  pass(0);
  assert.equal(looks(), 2);
});

test('an interval of 0 never looks, and a closed one no more', async (t) => {
  const never = setUp(t, 0, true);
  assert.equal(never.refresher.ridesOnRequests, false);
  never.pass(100_000);
  never.refresher.onRequest();
  never.pass(1);
  assert.equal(never.looks(), 0);
});

test('what is closed looks no more', (t) => {
  const { refresher, looks, pass } = setUp(t, 1000, false);
  refresher.close();
  pass(10_000);
  assert.equal(looks(), 0);
});
