import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { metric } from '../helpers/calls.ts';
import { padded } from '../helpers/models.ts';
import { startRedis } from '../helpers/redis-server.ts';
import { type StorageServer, startStorage } from '../helpers/storage-server.ts';
import { ROOT, type Served, serve } from './program.ts';

const BUCKET = 'system-tests';
const urlOf = ({ port }: Served): string => `http://localhost:${port}`;

async function storageOf(t: TestContext): Promise<StorageServer> {
  const storage = await startStorage();
  t.after(() => storage.close());
  return storage;
}

async function predict(server: Served, features: number[]): Promise<unknown> {
  const response = await fetch(`${urlOf(server)}/predict`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ features }),
  });
  return ((await response.json()) as { prediction: unknown }).prediction;
}

test('the bundle serves a model from a bucket, with the client that is bundled into it', async (t) => {
  const storage = await storageOf(t);
  for (const name of ['model.onnx', 'model.json', 'golden.json']) {
    storage.put(BUCKET, `iris/${name}`, readFileSync(join(ROOT, 'models/iris', name)));
  }
  const server = await serve(['dist/server.js'], {
    STORAGE_EMULATOR_HOST: storage.url,
    MODEL_URI: `gs://${BUCKET}/iris`,
  });
  try {
    assert.equal(await predict(server, [5.1, 3.5, 1.4, 0.2]), 0);
  } finally {
    assert.equal(await server.stop(), 0);
  }
});

test('a second instance of the bundle takes the bytes from Redis, and none from the bucket', async (t) => {
  const storage = await storageOf(t);
  const redis = await startRedis();
  t.after(() => redis.close());
  storage.put(BUCKET, 'm/model.onnx', padded());
  const env = { STORAGE_EMULATOR_HOST: storage.url, MODEL_URI: `gs://${BUCKET}/m`, REDIS_URL: redis.url };
  const reads = (): number => storage.requests.filter(({ kind }) => kind === 'media').length;
  for (const event of ['stored', 'hit']) {
    const before = reads();
    const server = await serve(['dist/server.js'], env);
    try {
      assert.deepEqual(await predict(server, [1, 2]), [2, 3]);
      assert.ok((await metric({ url: urlOf(server) }, 'model_cache_events_total', { event })) > 0, event);
      assert.equal(await metric({ url: urlOf(server) }, 'model_cache_events_total', { event: 'fault' }), 0);
      assert.equal(reads() > before, event === 'stored');
    } finally {
      await server.stop();
    }
  }
});
