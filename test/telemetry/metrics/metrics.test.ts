import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { METRICS } from '../../../functions/telemetry/metrics/metric-table.ts';
import { createMetrics, type Metrics } from '../../../functions/telemetry/metrics/metrics.ts';
import { type Family, parseExposition } from './exposition.ts';

function start(t: TestContext): Metrics {
  const metrics = createMetrics();
  t.after(metrics.close);
  return metrics;
}

const scrape = async (metrics: Metrics) => parseExposition(metrics.render().text);

/** The value of the sample with these labels and no others, but for `le`. */
function readValue(
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const samples = [...families.values()].flatMap((family) => family.samples).filter((sample) => sample.name === name);
  const wanted = JSON.stringify(Object.entries(labels).sort());
  return samples.find((sample) => JSON.stringify(Object.entries(sample.labels).sort()) === wanted)?.value;
}

/** As the documentation and dashboards know them. */
const PROMISED: Record<string, string> = {
  predictions_total: 'counter',
  prediction_latency_seconds: 'histogram',
  prediction_rows_per_run: 'histogram',
  prediction_queue_depth: 'gauge',
  prediction_queue_wait_seconds: 'histogram',
  prediction_run_seconds: 'histogram',
  requests_rejected_total: 'counter',
  engine_restarts_total: 'counter',
  preparing_restarts_total: 'counter',
  engine_processes: 'gauge',
  engine_process_resident_memory_bytes: 'gauge',
  engine_process_cpu_seconds_total: 'counter',
  model_state: 'gauge',
  model_refreshes_total: 'counter',
  model_unloads_total: 'counter',
  model_fetch_retries_total: 'counter',
  model_cache_events_total: 'counter',
  model_memory_bytes: 'gauge',
  model_load_seconds: 'gauge',
  http_requests_total: 'counter',
  http_request_duration_seconds: 'histogram',
  http_connections_closed_total: 'counter',
  event_loop_delay_seconds: 'gauge',
  log_lines_dropped_total: 'counter',
  process_cpu_seconds_total: 'counter',
  process_resident_memory_bytes: 'gauge',
  process_start_time_seconds: 'gauge',
  nodejs_version_info: 'gauge',
};

test('a scrape before anything happened has every metric, with its help and type, as text 0.0.4', async (t) => {
  const { contentType, text } = start(t).render();
  assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  const families = parseExposition(text);
  assert.deepEqual(Object.fromEntries(Array.from(families, ([name, { type }]) => [name, type])), PROMISED);
  for (const [name, { help }] of families) assert.ok(help.length > 10, name);
  assert.equal(Object.keys(METRICS).length, Object.keys(PROMISED).length);
});

test('closed lists of labels are there from 0 on', async (t) => {
  const families = await scrape(start(t));
  const labels = (name: string) =>
    families.get(name)!.samples.map((sample) => [Object.values(sample.labels)[0], sample.value]);
  const reasons = ['overloaded', 'deadline', 'draining', 'not_ready', 'too_large', 'client_gone', 'invalid'];
  assert.deepEqual(
    labels('requests_rejected_total'),
    reasons.map((reason) => [reason, 0]),
  );
  assert.deepEqual(labels('engine_restarts_total'), [
    ['crash', 0],
    ['run_timeout', 0],
    ['load_failed', 0],
    ['memory', 0],
    ['compiled', 0],
  ]);
  assert.deepEqual(labels('model_refreshes_total'), [
    ['swapped', 0],
    ['failed', 0],
    ['unreachable', 0],
  ]);
  assert.deepEqual(
    labels('event_loop_delay_seconds').map(([quantile]) => quantile),
    ['p50', 'p90', 'p99', 'max'],
  );
});

test('what is recorded of a model shows under its name', async (t) => {
  const metrics = start(t);
  const iris = metrics.model('iris');
  iris.rows(3, 1);
  metrics.model('iris').rows(2, 0);
  for (const seconds of [0.0001, 0.0002, 59, 61]) iris.latency(seconds, 1);
  iris.run(4, 0.01);
  iris.run(1025, 0.02);
  iris.queueWait(0.003);
  iris.load('fetching', 2);
  iris.load('fetching', 1.5);
  const families = await scrape(metrics);
  const model = 'iris';
  assert.equal(readValue(families, 'predictions_total', { model, outcome: 'ok' }), 5);
  assert.equal(readValue(families, 'predictions_total', { model, outcome: 'failed' }), 1);
  assert.equal(readValue(families, 'prediction_latency_seconds_bucket', { model, le: '0.0001' }), 1);
  assert.equal(readValue(families, 'prediction_latency_seconds_bucket', { model, le: '60' }), 3);
  assert.equal(readValue(families, 'prediction_latency_seconds_bucket', { model, le: '+Inf' }), 4);
  assert.equal(readValue(families, 'prediction_rows_per_run_bucket', { model, le: '2' }), 0);
  assert.equal(readValue(families, 'prediction_rows_per_run_bucket', { model, le: '1024' }), 1);
  assert.equal(readValue(families, 'prediction_rows_per_run_sum', { model }), 1029);
  assert.equal(readValue(families, 'prediction_run_seconds_count', { model }), 2);
  assert.equal(readValue(families, 'prediction_queue_wait_seconds_sum', { model }), 0.003);
  assert.equal(readValue(families, 'model_load_seconds', { model, phase: 'fetching' }), 1.5);
});

test('every histogram has cumulative buckets that end in its count', async (t) => {
  const metrics = start(t);
  for (let i = 0; i < 500; i++) {
    metrics.httpRequest('/predict', 'POST', 200, i / 100);
    metrics.model('iris').latency(i / 1e4, 1);
    metrics.model('iris').run(i, i / 1e3);
    metrics.model('iris').queueWait(i / 1e5);
  }
  const histograms = [...(await scrape(metrics)).values()].filter((family) => family.type === 'histogram');
  assert.equal(histograms.length, 5);
  for (const { samples } of histograms) {
    const buckets = samples.filter((sample) => 'le' in sample.labels);
    const bounds = buckets.map((bucket) => Number(bucket.labels.le!.replace('+Inf', 'Infinity')));
    assert.deepEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
    );
    const counts = buckets.map((bucket) => bucket.value);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
    assert.deepEqual([bounds.at(-1), counts.at(-1)], [Number.POSITIVE_INFINITY, 500]);
    assert.equal(samples.at(-1)!.value, 500);
  }
});

test('requests are counted by route, method and status, and odd methods and statuses are other', async (t) => {
  const metrics = start(t);
  metrics.httpRequest('/predict', 'POST', 200, 0.1);
  metrics.httpRequest('/predict', 'POST', 200, 0.2);
  metrics.httpRequest('/predict', 'POST', 429, 0.3);
  metrics.httpRequest('/predict', 'PROPFIND', 405, 0);
  metrics.httpRequest('/predict', 'MKCOL', 405, 0);
  metrics.httpRequest('/health', 'GET', 1e9, 0);
  const families = await scrape(metrics);
  assert.deepEqual(
    families.get('http_requests_total')!.samples.map(({ labels, value }) => [...Object.values(labels), value]),
    [
      ['/predict', 'POST', '200', 2],
      ['/predict', 'POST', '429', 1],
      ['/predict', 'other', '405', 2],
      ['/health', 'GET', 'other', 1],
    ],
  );
  assert.equal(readValue(families, 'http_request_duration_seconds_count', { route: '/predict' }), 5);
});

test('labels stay bounded whatever names come', async (t) => {
  const metrics = start(t);
  const many = Array.from({ length: 1000 }, (_, i) => `n${i}`);
  for (const name of many) {
    metrics.model(name).rows(1, 0);
    metrics.httpRequest(name, 'GET', 200, 0);
  }
  metrics.observe({
    models: () => many.map((name) => ({ name, state: 'ready' as const })),
    queueDepth: () => many.map((model) => ({ model, depth: 1 })),
  });
  const families = await scrape(metrics);
  const distinct = (name: string, label: string) =>
    new Set(families.get(name)!.samples.map((sample) => sample.labels[label])).size;
  assert.equal(distinct('predictions_total', 'model'), 257);
  assert.equal(readValue(families, 'predictions_total', { model: 'other', outcome: 'ok' }), 744);
  assert.equal(readValue(families, 'prediction_queue_depth', { model: 'other' }), 744);
  assert.equal(distinct('model_state', 'model'), 257);
  assert.equal(distinct('http_requests_total', 'route'), 129);
});

test('sources are read at each scrape, and a state that ended has the value 0', async (t) => {
  const metrics = start(t);
  let state: 'loading' | 'ready' = 'loading';
  let engineState: 'starting' | 'busy' = 'starting';
  metrics.observe({
    queueDepth: () => [{ model: 'iris', depth: 3 }],
    models: () => [{ name: 'iris', state }],
    engines: () => [
      { model: 'iris', version: '2', slot: 0, pid: process.pid, state: engineState },
      { model: 'iris', version: '2', slot: 1, pid: undefined, state: 'starting' },
    ],
  });
  metrics.observe({ logDropped: () => 7 });
  metrics.render();
  state = 'ready';
  engineState = 'busy';
  const families = await scrape(metrics);
  assert.equal(readValue(families, 'prediction_queue_depth', { model: 'iris' }), 3);
  assert.equal(readValue(families, 'model_state', { model: 'iris', state: 'loading' }), 0);
  assert.equal(readValue(families, 'model_state', { model: 'iris', state: 'ready' }), 1);
  assert.equal(readValue(families, 'engine_processes', { state: 'waiting' }), 0);
  assert.equal(readValue(families, 'engine_processes', { state: 'starting' }), 1);
  assert.equal(readValue(families, 'engine_processes', { state: 'busy' }), 1);
  const engine = (slot: string) => ({ model: 'iris', version: '2', engine: slot });
  assert.ok(readValue(families, 'engine_process_resident_memory_bytes', engine('0'))! > 1e6);
  assert.ok(readValue(families, 'engine_process_cpu_seconds_total', engine('0'))! > 0);
  assert.equal(readValue(families, 'engine_process_cpu_seconds_total', engine('1')), undefined);
  assert.equal(readValue(families, 'log_lines_dropped_total'), 7);
});

test('the figures of an engine process keep their labels when another model is loaded or unloaded', async (t) => {
  const metrics = start(t);
  const engine = (model: string, version: string, slot: number) => ({
    model,
    version,
    slot,
    pid: process.pid,
    state: 'idle' as const,
  });
  const labelsOf = async () =>
    (await scrape(metrics))
      .get('engine_process_cpu_seconds_total')!
      .samples.map(({ labels }) => `${labels.model} ${labels.version} ${labels.engine}`);
  const iris = [engine('iris', '1', 0), engine('iris', '1', 1)];
  for (const before of [[], [engine('other', '1', 0)], [engine('other', '1', 0), engine('third', '9', 0)]]) {
    metrics.observe({ engines: () => [...before, ...iris] });
    assert.deepEqual((await labelsOf()).slice(before.length), ['iris 1 0', 'iris 1 1']);
  }
  // One version under two addresses: one series, of both.
  metrics.observe({ engines: () => [...iris, ...iris] });
  assert.deepEqual(await labelsOf(), ['iris 1 0', 'iris 1 1']);
});

test('rejections and restarts are counted by reason', async (t) => {
  const metrics = start(t);
  metrics.rejected('deadline');
  metrics.rejected('deadline');
  metrics.engineRestarted('run_timeout');
  metrics.preparingRestarted('crash');
  const families = await scrape(metrics);
  assert.equal(readValue(families, 'requests_rejected_total', { reason: 'deadline' }), 2);
  assert.equal(readValue(families, 'engine_restarts_total', { reason: 'run_timeout' }), 1);
  assert.equal(readValue(families, 'engine_restarts_total', { reason: 'crash' }), 0);
  assert.equal(readValue(families, 'preparing_restarts_total', { reason: 'crash' }), 1);
});

test('a source that throws fails the scrape and not the next one', async (t) => {
  const metrics = start(t);
  metrics.observe({
    models: () => {
      throw new Error('not now');
    },
  });
  assert.throws(() => metrics.render(), /not now/);
  metrics.observe({ models: () => [] });
  metrics.render();
});

test('the figures of the process are its own', async (t) => {
  t.mock.method(process, 'cpuUsage', () => ({ user: 1_500_000, system: 250_000 }));
  t.mock.method(process.memoryUsage, 'rss', () => 123_456_789);
  t.mock.method(process, 'uptime', () => 5);
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 });
  const families = await scrape(start(t));
  assert.equal(readValue(families, 'process_cpu_seconds_total'), 1.75);
  assert.equal(readValue(families, 'process_resident_memory_bytes'), 123_456_789);
  assert.equal(readValue(families, 'process_start_time_seconds'), 1_699_999_995);
  assert.equal(families.get('nodejs_version_info')!.samples[0]!.labels.version, process.version);
});
