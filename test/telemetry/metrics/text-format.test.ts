import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METRICS, type MetricKey } from '../../../functions/telemetry/metrics/metric-table.ts';
import type { Sample } from '../../../functions/telemetry/metrics/series.ts';
import { writeText } from '../../../functions/telemetry/metrics/text-format.ts';

/** The lines of one metric, without its help. */
function linesOf(key: MetricKey, samples: Sample[]): string[] {
  const none = Object.fromEntries(Object.keys(METRICS).map((one) => [one, []])) as unknown as Record<
    MetricKey,
    Sample[]
  >;
  const text = writeText({ ...none, [key]: samples });
  assert.ok(text.endsWith('\n'));
  const lines = text.split('\n');
  const type = lines.indexOf(`# TYPE ${METRICS[key].name} ${METRICS[key].type}`);
  const end = lines.findIndex((line, i) => i > type && (line.startsWith('#') || line === ''));
  return lines.slice(type + 1, end);
}

test('a sample is its name, its labels in braces and its value', () => {
  assert.deepEqual(linesOf('modelUnloads', [{ labels: {}, value: 3 }]), ['model_unloads_total 3']);
  assert.deepEqual(linesOf('predictions', [{ labels: { model: 'iris', outcome: 'ok' }, value: 0.25 }]), [
    'predictions_total{model="iris",outcome="ok"} 0.25',
  ]);
  assert.deepEqual(linesOf('run', [{ metricName: 'prediction_run_seconds_bucket', labels: { le: 0.1 }, value: 7 }]), [
    'prediction_run_seconds_bucket{le="0.1"} 7',
  ]);
});

test('a backslash, a line end and a quote in a label are escaped', () => {
  assert.deepEqual(linesOf('queueDepth', [{ labels: { model: 'a\\b\n"c"' }, value: 1 }]), [
    String.raw`prediction_queue_depth{model="a\\b\n\"c\""} 1`,
  ]);
});

test('what is not finite is written as the format has it', () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e21, -0.5];
  assert.deepEqual(
    linesOf(
      'memory',
      values.map((value) => ({ labels: {}, value })),
    ),
    ['NaN', '+Inf', '-Inf', '1e+21', '-0.5'].map((value) => `process_resident_memory_bytes ${value}`),
  );
});

test('every metric has its help and its type, also without a sample', () => {
  for (const key of Object.keys(METRICS) as MetricKey[]) assert.deepEqual(linesOf(key, []), []);
});
