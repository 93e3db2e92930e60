import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVertexRoutes, type VertexOptions } from '../../../functions/routes/vertex/routes.ts';

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
