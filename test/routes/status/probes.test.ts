import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import type { Repository } from '../../../functions/model/repository/repository.ts';
import type { Model } from '../../../functions/model/serving/model.ts';
import { createMetadataRoutes } from '../../../functions/routes/open-inference/metadata.ts';
import { createProbeRoutes } from '../../../functions/routes/status/probes.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

/** The probes of all dialects that ask for readiness, of a model that counts its loads. */
function createProbes(draining: boolean) {
  let loads = 0;
  const model = {
    load: () => loads++,
    status: () => ({ name: 'iris', state: 'idle', seconds: 0 }),
  } as unknown as Model;
  const repository = { main: model, find: async () => model } as unknown as Repository;
  const { metrics } = recordTelemetry();
  const routes = [
    ...createProbeRoutes({ model, isMain: () => true, metrics, draining: () => draining }),
    ...createMetadataRoutes({ repository, draining: () => draining, admin: false }),
  ].filter(({ path }) => path.endsWith('ready'));
  return { routes, loads: () => loads };
}

const context = { params: { name: 'iris' } } as unknown as RequestContext;

test('a probe starts a load that has not been requested yet', async () => {
  const { routes, loads } = createProbes(false);
  assert.ok(routes.length >= 4);
  for (const [i, route] of routes.entries()) {
    await assert.rejects(async () => route.handle(context, undefined as never), { code: 'NOT_READY' }, route.path);
    assert.equal(loads(), i + 1, route.path);
  }
});

test('a probe of a server that drains starts no load', async () => {
  const { routes, loads } = createProbes(true);
  for (const route of routes)
    await assert.rejects(async () => route.handle(context, undefined as never), { code: 'DRAINING' }, route.path);
  assert.equal(loads(), 0);
});
