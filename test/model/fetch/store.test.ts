import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createStore, type ModelStore } from '../../../functions/model/fetch/store.ts';
import { descendants } from '../../helpers/descendants.ts';
import { localStore, pickMain } from '../../helpers/local-models.ts';
import { externalWeights, identity, writeModel } from '../../helpers/models.ts';
import { startStorage } from '../../helpers/storage-server.ts';

const EVENTS = { onRetry: () => {}, onCache: () => {} };
const sha256 = createHash('sha256').update(identity()).digest('hex');

async function fetchModel(store: ModelStore, expected?: string) {
  const version = pickMain(await store.list(false));
  return store.fetchModel(version, { background: false, sha256: expected, onBytes: () => {} });
}

async function bucketStore(t: TestContext, filesAreMemory = false, uri = 'gs://models/iris/') {
  const storage = await startStorage();
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  const store = createStore({ uri, cache: undefined, filesAreMemory }, EVENTS);
  t.after(async () => {
    store.close();
    await storage.close();
  });
  storage.put('models', 'iris/model.onnx', identity());
  return { storage, store };
}

test('a local model is loaded from its folder, and no process is started for it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const uri = writeModel(folder, 'iris', identity(), {}, {});
  for (const name of ['README.md', 'data.csv', 'other.onnx']) writeFileSync(join(uri, name), 'x');
  const store = localStore(uri);
  const local = await fetchModel(store);
  assert.deepEqual([local.folder, local.external], [uri, []]);
  assert.deepEqual(descendants(process.pid), []);
  await local.release();
  assert.ok(existsSync(join(local.folder, 'model.onnx')), 'what was not brought is not removed');
});

test('a local file with another SHA-256 is refused, with both', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const store = localStore(writeModel(folder, 'iris', identity()));
  t.after(store.close);
  await fetchModel(store, sha256);
  await assert.rejects(fetchModel(store, '0'.repeat(64)), {
    code: 'MODEL_FAILED',
    message: new RegExp(`model\\.onnx: its SHA-256 is ${sha256}, MODEL_SHA256 is 0{64}$`),
  });
});

test('a local file with other files beside it is inspected for its weights, in a separate process', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { model } = externalWeights('parts/w');
  const uri = writeModel(folder, 'iris', model);
  mkdirSync(join(uri, 'parts'));
  const store = localStore(uri);
  t.after(store.close);
  assert.deepEqual((await fetchModel(store)).external, ['parts/w']);
});

test('a model with nothing but its compiled form beside it is not inspected', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const uri = writeModel(folder, 'iris', identity());
  mkdirSync(join(uri, '.model.onnx.compiled'));
  const store = localStore(uri);
  t.after(store.close);
  assert.equal((await fetchModel(store)).mappableBytes, undefined);
});

test('a link to weights may lead only to the folder to which the model itself is linked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { model, data } = externalWeights('w.data');
  // As Kubernetes has it.
  const volume = writeModel(folder, 'volume/..2026', model);
  writeFileSync(join(volume, 'w.data'), data);
  for (const name of ['model.onnx', 'w.data']) symlinkSync(`..2026/${name}`, join(folder, 'volume', name));
  await (await fetchWeights(join(folder, 'volume')))();

  const uri = writeModel(folder, 'linked', model);
  symlinkSync('../volume/..2026/w.data', join(uri, 'w.data'));
  await assert.rejects(await fetchWeights(uri), {
    code: 'MODEL_FAILED',
    message: `${uri}/model.onnx: its external data ${uri}/w.data is a link that leads to ${volume}/w.data, outside of the model's folder: put the file itself there`,
  });

  async function fetchWeights(root: string): Promise<() => Promise<void>> {
    const store = localStore(root);
    t.after(store.close);
    const version = pickMain(await store.list(false));
    const local = await store.fetchModel(version, { background: false, sha256: undefined, onBytes: () => {} });
    return () => local.fetchWeights(local.external.map((path) => [path, version.siblings.get(path)!]));
  }
});

test('one folder is listed alone, and the folders are counted once', async (t) => {
  const { storage, store } = await bucketStore(t, false, 'gs://models');
  storage.put('models', 'lily/1/model.onnx', identity());
  const asked = () => storage.requests.map(({ name, query }) => [name, query.get('delimiter')]);
  const layout = await store.list(false, { under: 'iris' });
  assert.deepEqual([[...layout.models.keys()], layout.total], [['iris'], 2]);
  assert.deepEqual(asked().sort(), [
    ['', '/'],
    ['iris/', null],
  ]);
  await store.list(false, { under: 'lily' });
  assert.deepEqual(asked().slice(2), [['lily/', null]]);
});

test('a model in a folder of models counts as one of several', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'store-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeModel(folder, 'team/churn', identity());
  assert.equal((await localStore(folder).list(false, { under: 'team/churn' })).total, 2);
});

test('a model in a bucket is fetched to a folder of this process, each time to another, until it is released', async (t) => {
  const { store } = await bucketStore(t);
  assert.equal(store.root, 'gs://models/iris');
  const [one, other] = [await fetchModel(store), await fetchModel(store)];
  assert.notEqual(one.folder, other.folder);
  assert.ok(readFileSync(join(one.folder, 'model.onnx')).equals(identity()));
  await one.release();
  assert.deepEqual([existsSync(one.folder), existsSync(other.folder)], [false, true]);
  store.close();
  assert.equal(existsSync(other.folder), false);
});

test('a fetch that fails leaves no files', async (t) => {
  const { storage, store } = await bucketStore(t);
  const { folder } = await fetchModel(store);
  storage.inject({ kind: 'media', type: 'status', status: 403 });
  await assert.rejects(fetchModel(store), { fault: 'refused', message: /storage\.objects\.get/ });
  assert.equal(existsSync(join(dirname(folder), '2')), false);
});

test('if files take memory, so do fetched files', async (t) => {
  assert.equal(await (await bucketStore(t, true)).store.inMemory(), true);
  assert.equal(await localStore(tmpdir()).inMemory(), false);
});
