import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLoadProgress } from '../../../functions/model/serving/load-progress.ts';
import { createMetrics } from '../../../functions/telemetry/metrics/metrics.ts';

function setUp(t: TestContext) {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const metrics = createMetrics();
  t.after(metrics.close);
  return {
    metrics,
    progress: createLoadProgress(metrics),
    pass(ms: number) {
      now += ms;
    },
  };
}

test('bytes are reported while they are fetched, seconds from the start to the end of the load', (t) => {
  const { progress, pass } = setUp(t);
  assert.deepEqual(progress.now(), { phase: undefined, bytes: undefined, fetched: undefined, seconds: 0 });
  progress.begin('label');
  progress.phase('listing');
  pass(500);
  progress.found({ name: 'iris' }, 300);
  progress.phase('fetching');
  progress.fetched(100);
  pass(250);
  assert.deepEqual(progress.now(), { phase: 'fetching', bytes: 300, fetched: 100, seconds: 0.75 });
  progress.phase('loading');
  assert.equal(progress.now().fetched, undefined);
  pass(250);
  progress.end();
  progress.settle(310);
  pass(5000);
  assert.deepEqual(progress.now(), { phase: undefined, bytes: 310, fetched: undefined, seconds: 1 });
});

test('each phase is measured under the name of the model', async (t) => {
  const { progress, pass, metrics } = setUp(t);
  progress.begin('label');
  progress.phase('listing');
  pass(500);
  progress.found({ name: 'iris' }, 300);
  progress.phase('fetching');
  pass(2000);
  // The same again, where a model is read anew, is one phase.
  progress.phase('fetching');
  pass(1000);
  progress.end();
  const { text } = await metrics.render();
  assert.match(text, /model_load_seconds\{model="iris",phase="listing"\} 0\.5/);
  assert.match(text, /model_load_seconds\{model="iris",phase="fetching"\} 3\n/);
});
