import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareScrapes, readScrape } from '../../../functions/cli/loadtest/server-metrics.ts';

/** Metrics of a server that ran the model so many times, each in 1 to 2 ms. */
function metrics(runs: number, { start = 100, serving = 1, engines = [1, 1] } = {}): string {
  return [
    '# TYPE prediction_run_seconds histogram',
    'prediction_run_seconds_bucket{model="iris",le="0.001"} 0',
    `prediction_run_seconds_bucket{model="iris",le="0.002"} ${runs}`,
    `prediction_run_seconds_bucket{model="iris",le="+Inf"} ${runs}`,
    `prediction_run_seconds_sum{model="iris"} ${runs * 0.0015}`,
    `http_request_duration_seconds_bucket{route="/metrics",le="+Inf"} ${runs * 100}`,
    ...engines.map((seconds, i) => `engine_process_cpu_seconds_total{model="iris",engine="${i}"} ${seconds}`),
    `process_cpu_seconds_total ${serving}`,
    `process_start_time_seconds ${start}`,
  ].join('\n');
}

const between = (before: string, after: string, seconds = 10) =>
  compareScrapes(readScrape(before)!, readScrape(after)!, seconds);

test('stages have the durations between two scrapes, interpolated within the buckets, and the CPU is in cores', () => {
  const figures = between(metrics(50), metrics(150, { serving: 6, engines: [9, 3] }))!;
  assert.deepEqual(
    figures.stages.map(({ name }) => name),
    ['run of the model'],
  );
  const [{ mean, p50, p99 }] = figures.stages as [(typeof figures.stages)[number]];
  for (const [got, expected] of [
    [mean, 1.5],
    [p50, 1.5],
    [p99, 1.99],
  ] as const)
    assert.ok(Math.abs(got - expected) < 1e-9, `${got}`);
  assert.deepEqual([figures.servingCores, figures.engineCores], [0.5, 1]);
});

test('the CPU of an engine process that was replaced begins at 0 again', () => {
  const { engineCores } = between(metrics(1, { engines: [50, 1] }), metrics(2, { engines: [2, 4] }))!;
  assert.equal(engineCores, 0.5);
});

test('scrapes of two instances are not compared', () => {
  assert.equal(between(metrics(1), metrics(2, { start: 200 })), undefined);
});

test('a text without the figures of this server is none', () => {
  for (const text of ['', '<html>', 'process_start_time_seconds 1', '{"a":1}'])
    assert.equal(readScrape(text), undefined);
});
