import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Quota, type QuotaLimits } from '../../functions/access/quota.ts';
import { createClock } from '../helpers/clock.ts';

/** A quota with a clock that the test moves, in milliseconds. */
function rig(limits: QuotaLimits) {
  const { now, pass } = createClock(1000);
  const quota = new Quota(limits, now);
  return { quota, pass };
}

const EXCEEDED = (retryAfter: number, message: RegExp) => ({ code: 'QUOTA_EXCEEDED', retryAfter, message });

test('as many requests start at once as there are per second, and one more for each that has been made up for', () => {
  const { quota, pass } = rig({ requests: 4 });
  for (let i = 0; i < 4; i++) quota.start();
  assert.throws(() => quota.start(), EXCEEDED(1, /^the quota of this caller is 4 requests per second$/));
  pass(249);
  assert.throws(() => quota.start(), { code: 'QUOTA_EXCEEDED' });
  pass(1);
  quota.start();
  assert.throws(() => quota.start(), { code: 'QUOTA_EXCEEDED' });
  pass(60_000);
  for (let i = 0; i < 4; i++) quota.start();
  assert.throws(() => quota.start(), { code: 'QUOTA_EXCEEDED' });
});

test('a request may have more rows than are left, and the next ones wait until that is made up for', () => {
  const { quota, pass } = rig({ rows: 100 });
  quota.start();
  quota.chargeRows(600);
  const exceeded = EXCEEDED(6, /100 rows per second/);
  assert.throws(() => quota.chargeRows(1), exceeded);
  assert.throws(() => quota.start(), exceeded);
  pass(5000);
  assert.throws(() => quota.chargeRows(1), { retryAfter: 1 });
  pass(10);
  quota.start();
  quota.chargeRows(1);
});

test('rows of a stream wait in turn instead of being refused', () => {
  const { quota, pass } = rig({ rows: 100 });
  assert.deepEqual(
    [100, 100, 100].map((rows) => quota.delayRows(rows)),
    [0, 10, 1010],
  );
  pass(3010);
  assert.equal(quota.delayRows(1), 0);
  assert.equal(new Quota({ requests: 1 }).delayRows(1000), 0);
});

test('no more requests run at the same time than allowed', () => {
  const { quota } = rig({ concurrency: 2 });
  quota.start();
  quota.start();
  assert.throws(() => quota.start(), EXCEEDED(1, /2 requests at the same time/));
  quota.end();
  quota.start();
  assert.throws(() => quota.start(), { code: 'QUOTA_EXCEEDED' });
});

test('a refused request is not counted: it takes nothing of another limit', () => {
  const { quota } = rig({ requests: 2, concurrency: 1 });
  quota.start();
  for (let i = 0; i < 9; i++) assert.throws(() => quota.start(), /at the same time/);
  quota.end();
  quota.start();
  quota.end();
  assert.throws(() => quota.start(), /requests per second/);
});

test('the fields name each limit, what is left of it, and when it is whole again', () => {
  const { quota, pass } = rig({ requests: 10, rows: 100, concurrency: 3 });
  const state = (): string => quota.fields()[3]!;
  assert.deepEqual(quota.fields(), [
    'RateLimit-Policy',
    '"requests";q=10;w=1, "rows";q=100;w=1;qu="rows", "concurrency";q=3;qu="concurrent-requests"',
    'RateLimit',
    '"requests";r=10;t=0, "rows";r=100;t=0, "concurrency";r=3',
  ]);
  quota.start();
  quota.chargeRows(350);
  assert.equal(state(), '"requests";r=9;t=1, "rows";r=0;t=4, "concurrency";r=2');
  pass(3000);
  assert.equal(state(), '"requests";r=10;t=0, "rows";r=50;t=1, "concurrency";r=2');
  const [, policy, , left] = rig({ rows: 5 }).quota.fields();
  assert.deepEqual([policy, left], ['"rows";q=5;w=1;qu="rows"', '"rows";r=5;t=0']);
});
