import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createStore, type ModelStore } from '../../functions/model/store.ts';
import { descendants } from '../helpers/descendants.ts';
import { localStore, pickMain } from '../helpers/local-models.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { startStorage } from '../helpers/storage-server.ts';

const EVENTS = { onRetry: () => {}, onCache: () => {} };
const sha256 = createHash('sha256').update(identity()).digest('hex');

async function bring(store: ModelStore, expected?: string) {
  const version = pickMain(await store.list(false));
  return store.bring(version, { gentle: false, sha256: expected, onBytes: () => {} });
}

async function bucketStore(t: TestContext, filesAreMemory = false) {
  const storage = await startStorage();
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  const store = createStore({ uri: 'gs://models/iris/', cache: undefined, filesAreMemory }, EVENTS);
  t.after(async () => {
    store.close();
    await storage.close();
  });
  storage.put('models', 'iris/model.onnx', identity());
  return { storage, store };
}

test('a local model is loaded where it lies, and no process is started for it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const uri = writeModel(folder, 'iris', identity());
  const store = localStore(uri);
  const local = await bring(store);
  assert.deepEqual([local.path, local.weights], [join(uri, 'model.onnx'), undefined]);
  assert.deepEqual(descendants(process.pid), []);
  await local.release();
  assert.ok(existsSync(local.path), 'what was not brought is not removed');
});

test('a local file of another SHA-256 is refused, with both', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const store = localStore(writeModel(folder, 'iris', identity()));
  t.after(store.close);
  await bring(store, sha256);
  await assert.rejects(bring(store, '0'.repeat(64)), {
    code: 'MODEL_FAILED',
    message: new RegExp(`model\\.onnx: its SHA-256 is ${sha256}, MODEL_SHA256 is 0{64}$`),
  });
});

test('a model in a bucket is brought to a folder of this process, each time to another, until it is let go of', async (t) => {
  const { store } = await bucketStore(t);
  assert.equal(store.root, 'gs://models/iris');
  const [one, other] = [await bring(store), await bring(store)];
  assert.notEqual(dirname(one.path), dirname(other.path));
  assert.ok(readFileSync(one.path).equals(identity()));
  await one.release();
  assert.deepEqual([existsSync(dirname(one.path)), existsSync(other.path)], [false, true]);
  store.close();
  assert.equal(existsSync(other.path), false);
});

test('what cannot be brought leaves nothing behind', async (t) => {
  const { storage, store } = await bucketStore(t);
  const { path } = await bring(store);
  storage.inject({ kind: 'media', type: 'status', status: 403 });
  await assert.rejects(bring(store), { fault: 'refused', message: /storage\.objects\.get/ });
  assert.equal(existsSync(join(dirname(dirname(path)), '2')), false);
});

test('where files are memory everything that is brought is', async (t) => {
  assert.equal(await (await bucketStore(t, true)).store.inMemory(), true);
  assert.equal(await localStore(tmpdir()).inMemory(), false);
});
