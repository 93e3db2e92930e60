import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, post } from '../../helpers/calls.ts';
import { type Host, type HostKind, IRIS, startHost, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { addConstant, fixedBatch } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

const SETOSA = [5.1, 3.5, 1.4, 0.2];
const VIRGINICA = [7.7, 2.8, 6.7, 2];
/** What Vertex AI sets where a model was uploaded without routes. */
const ROUTE = '/v1/endpoints/123/deployedModels/456:predict';
const TRITON = 'application/vnd.vertex-ai-triton.binary+json';

const inferBody = (data: string): string =>
  `{"id":"a","inputs":[{"name":"features","shape":[1,4],"datatype":"FP32",${data}}]}`;

/** Vertex AI's contract with a container. */
export function vertex(kind: HostKind): void {
  describe('Vertex AI', { concurrency: 1 }, () => {
    const ids = { AIP_ENDPOINT_ID: '123', AIP_DEPLOYED_MODEL_ID: '456' };
    const host = useHost(kind, () => ({
      ...ids,
      MODEL_URI: '/nowhere',
      AIP_STORAGE_URI: IRIS,
      INFERENCE_PROCESSES: '1',
    }));

    test('AIP_STORAGE_URI is the address of the model; one path takes predictions and health checks', async () => {
      const health = await call(host(), ROUTE);
      assert.deepEqual([health.status, health.headers.get('content-type')], [200, 'application/json']);
      assert.deepEqual(health.json(), { status: 'ready', model: { name: 'iris', version: '1' } });
      assert.equal((await post(host(), ROUTE, { instances: [SETOSA] })).status, 200);
      const wrong = await call(host(), ROUTE, { method: 'PUT', body: '{}' });
      assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'POST, GET, HEAD']);
    });

    test('each instance, in any of its forms, gives the prediction that /predict gives', async () => {
      const [sepal_length, sepal_width, petal_length, petal_width] = VIRGINICA;
      const named = { sepal_length, sepal_width, petal_length, petal_width };
      const instances = [SETOSA, { features: VIRGINICA }, named, { features: SETOSA }];
      const { status, json, text } = await post(host(), ROUTE, { instances, parameters: { any: ['thing'] } });
      assert.equal(status, 200, text);
      assert.deepEqual(Object.keys(json()), ['predictions']);
      const alone = await Promise.all(
        [SETOSA, VIRGINICA, VIRGINICA, SETOSA].map(async (features) => {
          const { model: _, ...rest } = (await post(host(), '/predict', { features })).json();
          return rest;
        }),
      );
      assert.deepEqual(json().predictions, alone);
      assert.deepEqual(
        json().predictions.map(({ label }: { label: string }) => label),
        ['setosa', 'virginica', 'virginica', 'setosa'],
      );
    });

    test('as many predictions as instances, in their order, also from a large body', async () => {
      const instances = Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? VIRGINICA : SETOSA));
      for (const padding of ['', ' '.repeat(400_000)]) {
        const { json } = await post(host(), ROUTE, `{"instances":${JSON.stringify(instances)}${padding}}`);
        const labels = json().predictions.map(({ label }: { label: string }) => label);
        assert.deepEqual(
          labels,
          instances.map((row) => (row === SETOSA ? 'setosa' : 'virginica')),
        );
      }
    });

    test('what raw predict forwards is told apart by its body, small or large', async () => {
      const direct = await post(host(), '/v2/models/iris/infer', inferBody(`"data":[${SETOSA}]`));
      assert.equal(direct.status, 200);
      const native = await post(host(), '/predict', { features: SETOSA });
      for (const padding of ['', ' '.repeat(400_000)]) {
        const infer = await post(host(), ROUTE, inferBody(`"data":[${SETOSA}]${padding}`));
        assert.deepEqual([infer.status, infer.text], [200, direct.text]);
        const features = await post(host(), ROUTE, `{"features":[${SETOSA}]${padding}}`);
        assert.deepEqual([features.status, features.text], [200, native.text]);
      }
    });

    for (const [title, headers] of [
      [
        "the protocol's header",
        (size: number) => ({
          'content-type': 'application/octet-stream',
          'inference-header-content-length': String(size),
        }),
      ],
      ["Triton's media type", (size: number) => ({ 'content-type': `${TRITON};json-header-size=${size}` })],
    ] as const) {
      test(`binary tensors come by raw predict, with ${title}`, async () => {
        const text = inferBody('"parameters":{"binary_data_size":16}').replace(
          '{',
          '{"parameters":{"binary_data_output":true},',
        );
        const body = Buffer.concat([Buffer.from(text), Buffer.from(Float32Array.from(SETOSA).buffer)]);
        const response = await fetch(host().url + ROUTE, { method: 'POST', body, headers: headers(text.length) });
        const bytes = Buffer.from(await response.arrayBuffer());
        assert.equal(response.status, 200, bytes.toString());
        const size = Number(response.headers.get('inference-header-content-length'));
        const type = response.headers.get('content-type');
        assert.equal(
          type,
          title.startsWith('Triton') ? `${TRITON};json-header-size=${size}` : 'application/octet-stream',
        );
        const { outputs } = JSON.parse(bytes.toString('utf8', 0, size));
        assert.deepEqual(
          outputs.map((output: { parameters: object }) => output.parameters),
          [{ binary_data_size: 8 }, { binary_data_size: 12 }],
        );
        assert.equal(bytes.length, size + 20);
        assert.equal(bytes.readBigInt64LE(size), 0n);
      });
    }

    test('what is wrong is said by its place, and no instance at all is wrong', async () => {
      const bodies: [body: unknown, path: string | undefined, error: RegExp][] = [
        [{ instances: [SETOSA, [1, 2]] }, 'instances[1]', /expected 4 values, got 2/],
        [{ instances: [] }, 'instances', /at least one instance/],
        [{ instances: {} }, 'instances', /expected an array/],
        [{ rows: [SETOSA] }, undefined, /\{"instances": \[row, …\]\}/],
        [{ inputs: { features: [SETOSA] } }, undefined, /\{"instances": \[row, …\]\}/],
      ];
      for (const [body, path, error] of bodies) {
        const { status, json } = await post(host(), ROUTE, body);
        assert.deepEqual([status, json().code, json().path], [400, 'INVALID_INPUT', path]);
        assert.match(json().error, error);
      }
      const type = await post(host(), ROUTE, '<x/>', { 'content-type': 'application/xml' });
      assert.deepEqual([type.status, type.json().code], [415, 'UNSUPPORTED_MEDIA_TYPE']);
      const size = await post(host(), ROUTE, '{}', { 'content-type': `${TRITON};json-header-size=99` });
      assert.deepEqual([size.status, size.json().code], [400, 'INVALID_INPUT']);
    });
  });

  /** A server with these settings, for as long as `use` takes. */
  async function withHost(env: Record<string, string>, use: (host: Host) => Promise<void>): Promise<void> {
    const host = await startHost(kind, { INFERENCE_PROCESSES: '1', ...env });
    try {
      await use(host);
    } finally {
      await host.stop('SIGKILL');
    }
  }

  test('routes that are the server’s own are Vertex AI’s from then on', () =>
    withHost({ AIP_PREDICT_ROUTE: '/predict', AIP_HEALTH_ROUTE: '/health', MODEL_LOAD: 'lazy' }, async (host) => {
      const first = await call(host, '/health');
      // Not ready where the own one would be healthy; a first look may be late for that.
      if (first.status !== 200) assert.deepEqual([first.status, first.json().code], [503, 'NOT_READY']);
      await until(async () => (await call(host, '/health')).status === 200, 'the model to be ready');
      assert.equal((await post(host, '/predict', { instances: [SETOSA] })).json().predictions[0].label, 'setosa');
      assert.equal((await post(host, '/predict', { features: SETOSA })).json().label, 'setosa');
      assert.equal((await call(host, '/predict')).status, 405);
    }));

  test('at a path of TensorFlow Serving predictions are the values alone, of the one model there is', () => {
    const env = {
      MODEL_URI: modelFolder('vertex-half', addConstant(0.5)),
      AIP_PREDICT_ROUTE: '/v1/models/mine:predict',
      AIP_HEALTH_ROUTE: '/v1/models/mine',
    };
    return withHost(env, async (host) => {
      await until(async () => (await call(host, '/v1/models/mine')).status === 200, 'the model to be ready');
      const { json } = await post(host, '/v1/models/mine:predict', {
        instances: [
          [1, 2],
          [3, 4],
        ],
      });
      assert.deepEqual(json(), {
        predictions: [
          [1.5, 2.5],
          [3.5, 4.5],
        ],
      });
      // The others are as they were.
      const own = await post(host, '/v1/models/vertex-half:predict', { inputs: [[1, 2]] });
      assert.deepEqual(own.json(), { outputs: [[1.5, 2.5]] });
      assert.equal((await call(host, '/v1/models/vertex-half')).json().model_version_status[0].state, 'AVAILABLE');
    });
  });

  test('a model that takes one row at a time answers many', () =>
    withHost({ MODEL_URI: modelFolder('vertex-fixed', fixedBatch()), AIP_PREDICT_ROUTE: '/p' }, async (host) => {
      const { json, text } = await post(host, '/p', {
        instances: [
          [1, 2, 3, 4],
          [5, 6, 7, 8],
        ],
      });
      assert.deepEqual(
        json().predictions?.map(({ prediction }: { prediction: unknown }) => prediction),
        [
          [3, 7],
          [11, 15],
        ],
        text,
      );
    }));
}
