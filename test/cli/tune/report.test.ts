import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIST_PRICES } from '../../../functions/cli/prices/prices.ts';
import { PLAIN } from '../../../functions/cli/terminal/styles.ts';
import { type Goal, pointOf } from '../../../functions/cli/tune/objective.ts';
import { jsonOf, reportLines, type Tuned } from '../../../functions/cli/tune/report.ts';
import { defaultSettings, type Facts } from '../../../functions/cli/tune/settings.ts';

const FACTS: Facts = { cpus: 2, joinsRows: true, canMap: true };
const GOAL: Goal = { prices: LIST_PRICES.prices, cpus: 2, way: 'cloudRunInstances', p99Ms: undefined };
const sample = { rate: 1000, p99Ms: 80, memoryBytes: 200e6, errorRate: 0, generatorCores: 0.2 };
const settings = defaultSettings(FACTS);
const defaults = pointOf(settings, [sample], GOAL);
const best = pointOf({ ...settings, concurrency: 16 }, [{ ...sample, rate: 1100, p99Ms: 20 }], GOAL);
const slow = pointOf({ ...settings, concurrency: 256 }, [{ ...sample, rate: 900 }], GOAL);
const tuned: Tuned = {
  ...{ points: [defaults, best, slow], defaults, best, facts: FACTS, goal: GOAL, list: LIST_PRICES },
  ...{
    from: 'golden.json',
    place: 'iris/model.onnx',
    loads: 9,
    seconds: 2,
    cores: 0.2,
    isComplete: true,
    variation: 1.1,
  },
};

test('the table has the front and the defaults, the highest rate first, and the choice as settings', () => {
  assert.deepEqual(
    reportLines(tuned, PLAIN).filter((line) => !line.startsWith('  https://')),
    `iris/model.onnx, rows: golden.json, 2 CPUs, 9 loads of 2.0 s

  engines  batch  delay  weights  concurrency     rate      p99    memory  Run, request  Run, instance     GKE  GKE Spot
    2 × 1     64   0 ms   packed           16  1,100/s  20.0 ms  200.0 MB         $0.44         $0.034  $0.023   $0.0069  chosen
    2 × 1     64   0 ms   packed           80  1,000/s  80.0 ms  200.0 MB         $0.45         $0.037  $0.025   $0.0076  default

Engines are processes × threads. No other settings that were measured have a higher rate, a lower p99 and less
memory. Dollars are for a million predictions at full load, with prices for us-central1 of
The load generator used up to 0.2 of the CPUs: without it on the machine, rates are higher.

Chosen: 2 processes, 1 thread, batch 64, delay 0 ms, packed, concurrency 16: rate +10 %, p99 -75 %, cost -9 % (Cloud Run, instance-based) against the defaults
  INFERENCE_PROCESSES=2
  INTRA_OP_THREADS=1
  MAX_BATCH_SIZE=64
  BATCH_DELAY_MS=0
  WEIGHTS=packed
  containerConcurrency: 16
  memory: 512Mi`.split('\n'),
  );
});

test('if nothing is better the table says that the defaults are as good', () => {
  const lines = reportLines(
    { ...tuned, points: [defaults, slow], best: defaults, isComplete: false, variation: 2.34 },
    PLAIN,
  );
  assert.ok(lines.includes('The time was up before the search had ended: a larger --budget may find more.'));
  assert.ok(lines.includes('The defaults are as good as anything that was measured.'));
  assert.ok(lines.some((line) => line.startsWith('The rate of the defaults varied by a factor of 2.3: ')));
  assert.equal(lines.filter((line) => line.endsWith('chosen, default')).length, 1);
});

test('if no settings keep the p99 none is chosen, and the table says why', () => {
  const strict = pointOf(settings, [sample], { ...GOAL, p99Ms: 10 });
  const lines = reportLines({ ...tuned, points: [strict], best: strict, defaults: strict }, PLAIN);
  assert.equal(lines.at(-1), 'No settings can be chosen: p99 is above 10 ms.');
  assert.ok(lines.some((line) => line.endsWith('  default')));
});

test('the document has every setting that was measured, with what it costs and whether it is on the front', () => {
  const { chosen, defaults: own, points } = JSON.parse(JSON.stringify(jsonOf(tuned)));
  assert.deepEqual([chosen.concurrency, own.concurrency, chosen.rate], [16, 80, 1100]);
  assert.deepEqual(
    points.map(({ isOnFront }: { isOnFront: boolean }) => isOnFront),
    [false, true, false],
  );
  assert.deepEqual(Object.keys(chosen.dollarsPerMillion), ['cloudRunRequests', 'cloudRunInstances', 'gke', 'gkeSpot']);
});
