import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRoutes } from '../../../scripts/deploy-check/routes.ts';
import { IRIS, useHost } from '../../helpers/hosts.ts';

const host = useHost('container', () => ({ MODEL_URI: IRIS, INFERENCE_PROCESSES: '1' }));

test('the routes that are read off the sources are those of a running server', async () => {
  const { probes, all } = readRoutes();
  assert.ok(probes.size >= 3 && all.size > probes.size);
  const ask = async (path: string, method: string): Promise<number> =>
    (await fetch(host().url + path.replaceAll(/\{\w+\}/g, 'x'), { method })).status;
  for (const path of probes) assert.equal(await ask(path, 'GET'), 200, path);
  // Not allowed is there; what is not there is not found.
  for (const path of all) assert.equal(await ask(path, 'DELETE'), 405, path);
  assert.equal(await ask('/healthz', 'DELETE'), 404);
});
