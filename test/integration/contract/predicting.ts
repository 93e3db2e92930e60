import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, metric, post, predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';

const SETOSA = [5.1, 3.5, 1.4, 0.2];
const NAMED = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

/** /predict and the probes, on the bundled iris model. */
export function predicting(host: () => Host): void {
  describe('iris', { concurrency: 1 }, () => {
    test('/predict answers as the contract writes it', async () => {
      const { status, headers, json, text } = await predict(host(), SETOSA);
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'application/json');
      assert.equal(headers.get('content-length'), String(Buffer.byteLength(text)));
      const { outputs, ...rest } = json();
      assert.deepEqual(rest, { prediction: 0, label: 'setosa', model: { name: 'iris', version: '1' } });
      assert.deepEqual(Object.keys(json()), ['prediction', 'label', 'outputs', 'model']);
      assert.deepEqual(Object.keys(outputs), ['label', 'probabilities']);
      assert.equal(outputs.label, 0);
      // golden.json, made by the training script.
      for (const [i, expected] of [0.978393, 0.021607, 0.000001].entries()) {
        assert.ok(Math.abs(outputs.probabilities[i] - expected) < 1e-5, text);
      }
    });

    for (const [label, features] of [
      ['versicolor', [5.6, 3, 4.1, 1.3]],
      ['virginica', [7.7, 2.8, 6.7, 2]],
    ] as const) {
      test(`the label ${label} is the class's name`, async () => {
        assert.equal((await predict(host(), features)).json().label, label);
      });
    }

    test("features may be given by the input's name, or by the features' names in any order", async () => {
      const expected = (await predict(host(), SETOSA)).text;
      const reversed = Object.fromEntries(Object.entries(NAMED).reverse());
      for (const features of [{ features: SETOSA }, NAMED, reversed]) {
        assert.equal((await predict(host(), features)).text, expected);
      }
    });

    test('a feature that is missing or unknown is named', async () => {
      const { petal_width, ...missing } = NAMED;
      const [without, unknown] = await Promise.all([
        predict(host(), missing),
        predict(host(), { ...NAMED, colour: 1 }),
      ]);
      assert.deepEqual([without.status, without.json().path], [400, 'features.petal_width']);
      assert.match(without.json().error, /missing/);
      assert.deepEqual([unknown.status, unknown.json().path], [400, 'features.colour']);
      assert.match(unknown.json().error, /sepal_length, sepal_width, petal_length, petal_width/);
    });

    test('a body that is no {"features": …} is refused', async () => {
      for (const body of ['{}', '[]', '[[1,2,3,4]]', '{"instances":[]}', `{"features":[1,2,3,4],"extra":1}`]) {
        const { status, json } = await post(host(), '/predict', body);
        assert.deepEqual([status, json().code], [400, 'INVALID_INPUT'], body);
        assert.match(json().error, /\{"features": …\}/);
      }
    });

    test('a body without a content type is taken for JSON, and so is one with a charset', async () => {
      for (const type of [undefined, 'application/json; charset=utf-8', 'Application/JSON']) {
        const body = Buffer.from(JSON.stringify({ features: SETOSA }));
        const headers: Record<string, string> = type === undefined ? {} : { 'content-type': type };
        const { status, text } = await call(host(), '/predict', { method: 'POST', body, headers });
        assert.equal(status, 200, text);
      }
    });

    test('/health tells of the process and its model', async () => {
      const { status, headers, json } = await call(host(), '/health');
      assert.deepEqual([status, headers.get('content-type')], [200, 'application/json']);
      const { status: state, model, uptime } = json();
      assert.deepEqual([state, model.name, model.version, model.state], ['ok', 'iris', '1', 'ready']);
      assert.ok(model.bytes > 100 && uptime > 0);
    });

    test('/ready is 200 once the model is loaded', async () => {
      const { status, json } = await call(host(), '/ready');
      assert.equal(status, 200);
      assert.deepEqual(json(), { status: 'ready', model: { name: 'iris', version: '1' } });
    });

    test('/metrics counts predictions, their time, and requests by route, method and status', async () => {
      const ok = { model: 'iris', outcome: 'ok' };
      const asked = { route: '/predict', method: 'POST', status: '200' };
      const before = [
        await metric(host(), 'predictions_total', ok),
        await metric(host(), 'http_requests_total', asked),
      ];
      await predict(host(), SETOSA);
      const { status, headers, text } = await call(host(), '/metrics');
      assert.equal(status, 200);
      assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      assert.match(text, /^# TYPE prediction_latency_seconds histogram$/m);
      assert.match(text, /^prediction_latency_seconds_bucket\{model="iris",le="0\.0001"\} \d+$/m);
      const after = [await metric(host(), 'predictions_total', ok), await metric(host(), 'http_requests_total', asked)];
      assert.deepEqual(after, [before[0]! + 1, before[1]! + 1]);
    });

    test('HEAD is answered where GET is, without a body', async () => {
      for (const path of ['/health', '/ready', '/metrics']) {
        const { status, headers, text } = await call(host(), path, { method: 'HEAD' });
        assert.deepEqual([status, text], [200, '']);
        assert.ok(Number(headers.get('content-length')) > 0);
      }
    });
  });
}
