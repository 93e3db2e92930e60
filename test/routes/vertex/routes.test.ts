import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import type { BufferedRoute } from '../../../functions/http/router.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import { createVertexRoutes, type VertexOptions } from '../../../functions/routes/vertex/routes.ts';
import { stubGeneration } from '../../helpers/generation-stub.ts';
import { serveOnly } from '../../helpers/route-host.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { column } from '../../helpers/tensors.ts';

const made = (options: Partial<VertexOptions>) =>
  createVertexRoutes({ repository: {}, ...options } as VertexOptions).map(({ method, path }) => `${method} ${path}`);

test('there are no routes where Vertex AI has set none', () => {
  assert.deepEqual(made({}), []);
  assert.deepEqual(made({ endpointId: '1' }), []);
  assert.deepEqual(made({ deployedModelId: '2' }), []);
});

test('the routes are those that it has set, which may be one path', () => {
  assert.deepEqual(made({ predictRoute: '/p' }), ['POST /p']);
  assert.deepEqual(made({ healthRoute: '/h' }), ['GET /h']);
  assert.deepEqual(made({ predictRoute: '/a', healthRoute: '/a' }), ['POST /a', 'GET /a']);
});

test('what is not set has the default that the API gives it', () => {
  const ids = { endpointId: '123', deployedModelId: '456' };
  // google/cloud/aiplatform/v1/model.proto, ModelContainerSpec.
  const path = '/v1/endpoints/123/deployedModels/456:predict';
  assert.deepEqual(made(ids), [`POST ${path}`, `GET ${path}`]);
  assert.deepEqual(made({ ...ids, healthRoute: '/h' }), [`POST ${path}`, 'GET /h']);
  assert.deepEqual(made({ ...ids, predictRoute: '/p' }), ['POST /p', `GET ${path}`]);
});

test('predictions of a joined run are encoded as such, also after another run has ended the joining: no prediction contains rows of other requests', async (t) => {
  const spec = { name: 'y', dtype: 'float32', shape: [-1, 1] } as const;
  const signature = { inputs: [{ ...spec, name: 'x' }], outputs: [spec] };
  const { live, repository } = stubGeneration({
    signature,
    async predict({ rows }) {
      Object.assign(live, { joinsRows: false, rows: createRowDecoder(signature, undefined, false) });
      return [{ rows, outputs: [column(7, 8, 9)], first: 1 }];
    },
  });
  const telemetry = recordTelemetry();
  const routes = createVertexRoutes({
    repository,
    metrics: telemetry.metrics,
    maxBodyBytes: 1000,
    draining: () => false,
    predictRoute: '/p',
  } as unknown as VertexOptions);
  const { url } = await serveOnly(t, routes, telemetry);
  const response = await fetch(`${url}/p`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"instances":[[1],[2]]}',
  });
  assert.deepEqual(await response.json(), {
    predictions: [8, 9].map((value) => ({ prediction: [value], outputs: { y: [value] } })),
  });
});

test('a compressed response of tensors is known to the router, which watches whether its client reads it', async (t) => {
  const spec = { name: 'y', dtype: 'float32', shape: [-1, 1] } as const;
  const { repository } = stubGeneration({ signature: { inputs: [{ ...spec, name: 'x' }], outputs: [spec] } });
  const telemetry = recordTelemetry();
  const { metrics } = telemetry;
  const options = { repository, metrics, maxBodyBytes: 100_000, draining: () => false, predictRoute: '/p' };
  const [route] = createVertexRoutes(options as unknown as VertexOptions) as [BufferedRoute];
  let routed: RequestContext | undefined;
  const watched: BufferedRoute = {
    ...route,
    handle(context, body) {
      routed = context;
      return route.handle(context, body);
    },
  };
  const { url } = await serveOnly(t, [watched], telemetry);
  const data = Array.from({ length: 2000 }, (_, i) => i + 0.5);
  const response = await fetch(`${url}/p`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'accept-encoding': 'gzip' },
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [2000, 1], data }] }),
  });
  const { model_name, outputs } = (await response.json()) as { model_name: string; outputs: { data: number[] }[] };
  assert.deepEqual([response.headers.get('content-encoding'), model_name, outputs[0]!.data], ['gzip', 'm', data]);
  assert.ok(routed?.sending instanceof Promise);
});
