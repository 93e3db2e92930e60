import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_ARGUMENTS } from '../../scripts/server-process.ts';
import { call, post } from '../helpers/calls.ts';
import { IRIS } from '../helpers/hosts.ts';
import { padded } from '../helpers/models.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { startStorage } from '../helpers/storage-server.ts';
import { untilTelemetryIsSent } from '../helpers/telemetry-control.ts';
import { startTraced } from '../helpers/traced-server.ts';

test('with a local model, no process of the container or the function opens a connection or sends a datagram', async () => {
  const kinds = ['container', 'functions'] as const;
  const servers = await Promise.all(kinds.map((kind) => startTraced(HOST_ARGUMENTS[kind], { MODEL_URI: IRIS })));
  for (const server of servers) {
    const answer = await post(server, '/predict', { features: [6.3, 2.9, 5.6, 1.8] });
    assert.equal(answer.json().label, 'virginica');
    for (const path of ['/', '/docs', '/metrics', '/models', '/v2/models/iris'])
      assert.equal((await call(server, path)).status, 200, path);
  }
  // Seconds after it was loaded.
  await untilTelemetryIsSent();
  assert.deepEqual(await Promise.all(servers.map((server) => server.peers())), [[], []]);
});

test('with a bucket and Redis, the server connects to these two alone', async (t) => {
  const [storage, redis] = await Promise.all([startStorage(), startRedis()]);
  t.after(() => Promise.all([storage.close(), redis.close()]));
  // Large enough to be cached.
  storage.put('models', 'm/model.onnx', padded());
  const server = await startTraced(HOST_ARGUMENTS.container, {
    STORAGE_EMULATOR_HOST: storage.url,
    MODEL_URI: 'gs://models/m',
    REDIS_URL: redis.url,
  });
  assert.deepEqual((await post(server, '/predict', { features: [1, 2] })).json().prediction, [2, 3]);
  assert.deepEqual(await server.peers(), [`127.0.0.1:${redis.port}`, `127.0.0.1:${storage.port}`].sort());
});
