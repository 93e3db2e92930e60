import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestContext } from '../../../functions/http/request-context.ts';
import type { Repository } from '../../../functions/model/repository/repository.ts';
import type { Model } from '../../../functions/model/serving/model.ts';
import { createMetadataRoutes } from '../../../functions/routes/open-inference/metadata.ts';
import { createProbeRoutes } from '../../../functions/routes/status/probes.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

/** The probes of all dialects that ask for readiness; the model that they find counts its loads. */
function createProbes(draining: boolean, isMain = true) {
  let loads = 0;
  const model = {
    load: () => loads++,
    live: () => undefined,
    loadsOnRequest: () => true,
    status: () => ({ name: 'iris', state: 'idle', seconds: 0 }),
  } as unknown as Model;
  const main = isMain ? model : ({ ...model, load: () => {} } as Model);
  const repository = { main, find: async () => model } as unknown as Repository;
  const { metrics } = recordTelemetry();
  const routes = [
    ...createProbeRoutes({ model: main, isMain: () => true, metrics, draining: () => draining }),
    ...createMetadataRoutes({ repository, draining: () => draining, admin: false }),
  ].filter(({ path }) => path.endsWith('ready'));
  return { routes, loads: () => loads };
}

const context = { params: { name: 'iris' } } as unknown as RequestContext;

test('a probe starts the load of the model behind /predict', async () => {
  const { routes, loads } = createProbes(false);
  assert.ok(routes.length >= 4);
  for (const [i, route] of routes.entries()) {
    await assert.rejects(async () => route.handle(context, undefined as never), { code: 'NOT_READY' }, route.path);
    assert.equal(loads(), i + 1, route.path);
  }
});

test('a probe starts the load of no other model, and says what loads it', async () => {
  const { routes, loads } = createProbes(false, false);
  for (const route of routes)
    await assert.rejects(async () => route.handle(context, undefined as never), {
      code: 'NOT_READY',
      message: 'the model is not ready: not loaded: its first prediction loads it',
    });
  assert.equal(loads(), 0);
});

test('a probe of a server that drains starts no load', async () => {
  const { routes, loads } = createProbes(true);
  for (const route of routes)
    await assert.rejects(async () => route.handle(context, undefined as never), { code: 'DRAINING' }, route.path);
  assert.equal(loads(), 0);
});
