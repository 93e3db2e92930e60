import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantileOf, readFigures } from '../../../functions/page/live/figures.ts';
import { createMetrics } from '../../../functions/telemetry/metrics/metrics.ts';

const TEXT = `# HELP predictions_total Rows.
predictions_total{model="a\\"b}",outcome="ok"} 10
predictions_total{model="a",outcome="ok"} 5
predictions_total{model="a",outcome="failed"} 100
prediction_queue_depth{model="a"} 3
engine_processes{model="a",state="idle"} 1
engine_processes{model="a",state="busy"} 2
engine_processes{model="a",state="closed"} 7
prediction_latency_seconds_bucket{model="a",le="0.001"} 90
prediction_latency_seconds_bucket{model="a",le="0.01"} 99
prediction_latency_seconds_bucket{model="a",le="+Inf"} 100
what is this
`;

test('figures are sums over all models', () => {
  const { rows, queue, engines, busy } = readFigures(TEXT);
  assert.deepEqual({ rows, queue, engines, busy }, { rows: 15, queue: 3, engines: 3, busy: 2 });
});

test('a quantile is a bound of the histogram, of all rows or of those since the last scrape', () => {
  const now = readFigures(TEXT);
  assert.equal(quantileOf(0.5, now), 0.001);
  assert.equal(quantileOf(0.95, now), 0.01);
  assert.equal(quantileOf(1, now), Number.POSITIVE_INFINITY);
  assert.equal(quantileOf(0.95, now, now), undefined);
  const before = readFigures(
    TEXT.replace('le="0.001"} 90', 'le="0.001"} 82').replace('} 99', '} 91').replace('} 100\nwhat', '} 92\nwhat'),
  );
  assert.equal(quantileOf(0.95, now, before), 0.001);
});

test("the server's own metrics are read", async () => {
  const metrics = createMetrics();
  metrics.observe({
    queueDepth: () => [{ model: 'm', depth: 4 }],
    engines: () => [],
    models: () => [],
    modelMemory: () => 0,
    logDropped: () => 0,
  });
  metrics.model('m').latency(0.002, 7);
  const { text } = await metrics.render();
  metrics.close();
  const figures = readFigures(text);
  assert.equal(figures.queue, 4);
  assert.equal(quantileOf(0.5, figures), 0.0025);
});
