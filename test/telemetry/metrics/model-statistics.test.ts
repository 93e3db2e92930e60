import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStatisticsRegistry } from '../../../functions/telemetry/metrics/model-statistics.ts';

test('each version has its own entry, which outlives it', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const registry = createStatisticsRegistry();
  const first = registry.of('iris', '1');
  first.wait(0.5);
  first.run(3, 0.25);
  first.settled(true, 1);
  registry.of('iris', '2').settled(false, 2);
  registry.of('iris', '1').run(3, 0.25);
  registry.of('iris', '1').run(1, 0.125);
  const [one, two, ...more] = registry.all();
  assert.deepEqual(more, []);
  const { lastRun, runs, ...rest } = one!;
  assert.equal(lastRun, 1_700_000_000_000);
  assert.deepEqual(
    [...runs],
    [
      [3, { count: 2, seconds: 0.5 }],
      [1, { count: 1, seconds: 0.125 }],
    ],
  );
  assert.deepEqual(rest, {
    name: 'iris',
    version: '1',
    rows: 7,
    ok: { count: 1, seconds: 1 },
    failed: { count: 0, seconds: 0 },
    waits: { count: 1, seconds: 0.5 },
  });
  assert.deepEqual([two!.version, two!.lastRun, two!.rows, two!.failed], ['2', 0, 0, { count: 1, seconds: 2 }]);
});
