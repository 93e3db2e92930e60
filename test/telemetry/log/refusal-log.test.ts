import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRefusalLog } from '../../../functions/telemetry/log/refusal-log.ts';

test('the first refusal is logged at once, thousands more by a count for each code and caller every ten seconds, and nothing after the last', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: unknown[][] = [];
  const count = createRefusalLog({ warning: (message, fields) => void lines.push([message, fields]) });
  count('OVERLOADED');
  assert.deepEqual(lines, [
    [
      'refused a request with OVERLOADED; further ones are counted and logged every 10 s',
      { code: 'OVERLOADED', count: 1 },
    ],
  ]);
  for (let i = 0; i < 5000; i++) count('OVERLOADED');
  count('DRAINING');
  count('QUOTA_EXCEEDED', 'web');
  count('QUOTA_EXCEEDED', 'shop');
  count('QUOTA_EXCEEDED', 'web');
  assert.equal(lines.length, 1);
  t.mock.timers.tick(10_000);
  assert.deepEqual(lines.slice(1), [
    ['refused 5000 more requests with OVERLOADED in the last 10 s', { code: 'OVERLOADED', count: 5000 }],
    ['refused 1 more requests with DRAINING in the last 10 s', { code: 'DRAINING', count: 1 }],
    [
      'refused 2 more requests with QUOTA_EXCEEDED in the last 10 s',
      { code: 'QUOTA_EXCEEDED', caller: 'web', count: 2 },
    ],
    [
      'refused 1 more requests with QUOTA_EXCEEDED in the last 10 s',
      { code: 'QUOTA_EXCEEDED', caller: 'shop', count: 1 },
    ],
  ]);
  t.mock.timers.tick(10_000);
  t.mock.timers.tick(100_000);
  assert.equal(lines.length, 5);
  count('OVERLOADED');
  assert.equal(lines.length, 6, 'after a pause it is logged at once again');
});
