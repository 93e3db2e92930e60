import assert from 'node:assert/strict';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createStore, type ModelStore } from '../../../../functions/model/fetch/store.ts';
import { type ModelFiles, readFiles } from '../../../../functions/model/folder/files.ts';
import type { ListedVersion } from '../../../../functions/model/folder/layout.ts';
import { weightPaths } from '../../../../functions/model/folder/weights.ts';
import { signFolder } from '../../../../scripts/sign-model/sign.ts';
import { descendants } from '../../../helpers/descendants.ts';
import { localFiles, localStore, pickMain } from '../../../helpers/local-models.ts';
import { signingKey } from '../../../helpers/signing-keys.ts';
import { type StorageServer, startStorage } from '../../../helpers/storage-server.ts';
import { until } from '../../../helpers/until.ts';

const REFS = join(import.meta.dirname, '../../../assets/refs/models');
const EVENTS = { onRetry: () => {}, onCache: () => {} };
const MODELS = [
  'image-classifier-resnet',
  'image-classifier-vit',
  'reranker',
  'text-classifier',
  'text-embedding-bert',
];

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'export-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The files of an export, by path below its folder, with the model's file at the path given. */
function exportOf(model: string, file: string): Map<string, Buffer> {
  const paths = globSync('**/*.{json,onnx,txt}', { cwd: join(REFS, model) });
  return new Map(
    paths.map((path) => [path.endsWith('.onnx') ? file : path, readFileSync(join(REFS, model, path))] as const),
  );
}

/** The files of the model behind `/predict`, as they are given to its engines. */
async function filesOf(store: ModelStore, name?: string): Promise<ModelFiles> {
  const version: ListedVersion = pickMain(await store.list(false), name);
  const fetched = await store.fetchModel(version, { background: false, sha256: undefined, onBytes: () => {} });
  const weights = weightPaths(version.file, fetched.external, fetched.folder);
  await fetched.fetchWeights(weights.map((path) => [path, version.siblings.get(path)!]));
  return readFiles({ root: store.root, version, folder: fetched.folder, weights, local: store.local });
}

async function storageFor(t: TestContext): Promise<StorageServer> {
  const storage = await startStorage();
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  t.after(() => storage.close());
  return storage;
}

function bucketStore(t: TestContext, uri: string, file?: string): ModelStore {
  const store = createStore({ uri, file, cache: undefined, filesAreMemory: false }, EVENTS);
  t.after(() => store.close());
  return store;
}

/** Without what depends on where the files are. */
function withoutPlaces({ name, version, manifest, preparation }: ModelFiles): unknown {
  assert.ok(preparation !== undefined && preparation.kind !== 'code');
  const { kind, settings } = preparation;
  return { name, version, classes: manifest.classes, kind, settings };
}

/** `[the folder of the export below the root, the path of its .onnx file, MODEL_FILE, the version]`. */
const LAYOUTS: [folder: string, file: string, modelFile: string | undefined, version: string][] = [
  ['', 'model.onnx', undefined, '1'],
  ['', 'onnx/model.onnx', undefined, '1'],
  ['NAME', 'onnx/model.onnx', undefined, '1'],
  ['NAME/7', 'onnx/model.onnx', undefined, '7'],
  ['', 'onnx/model_quantized.onnx', 'onnx/model_quantized.onnx', '1'],
  ['NAME', 'onnx/model_quantized.onnx', 'model_quantized.onnx', '1'],
];

for (const model of MODELS) {
  test(`${model} is understood alike in every layout, from a folder and from a bucket`, async (t) => {
    const storage = await storageFor(t);
    let first: unknown;
    for (const [i, [folder, file, modelFile, version]] of LAYOUTS.entries()) {
      const below = folder.replace('NAME', model);
      const root = join(newFolder(t), folder === '' ? model : 'models');
      const bucket = folder === '' ? `${i}/${model}` : `${i}/models`;
      for (const [path, bytes] of exportOf(model, file)) {
        const target = join(root, below, path);
        mkdirSync(dirname(target), { recursive: true });
        writeFileSync(target, bytes);
        storage.put('models', [bucket, below, path].filter((part) => part !== '').join('/'), bytes);
      }
      const local = createStore({ uri: root, file: modelFile, cache: undefined, filesAreMemory: false }, EVENTS);
      t.after(() => local.close());
      const found = [await filesOf(local), await filesOf(bucketStore(t, `gs://models/${bucket}`, modelFile))];
      for (const files of found) {
        const { version: own, ...rest } = withoutPlaces(files) as { version: string };
        assert.equal(own, version);
        first ??= rest;
        assert.deepEqual(rest, first, `${folder} ${file}`);
        assert.ok(files.path.endsWith(`/${file}`));
      }
      for (const { preparation, stamps } of found) {
        if (preparation?.kind !== 'text') continue;
        const isLocal = stamps !== undefined;
        assert.deepEqual(readFileSync(preparation.tokenizer), readFileSync(join(REFS, model, 'tokenizer.json')));
        assert.equal(preparation.stamp !== undefined, isLocal, 'others can write to a local folder');
        assert.match(preparation.place, isLocal ? /^\/.*\/tokenizer\.json$/ : /^gs:\/\/models\/.*\/tokenizer\.json$/);
      }
    }
    assert.equal((first as { name: string }).name, model);
  });
}

test('a file beside an export is one of texts too, with the pooling of the folder below', async (t) => {
  const storage = await storageFor(t);
  const root = newFolder(t);
  for (const [path, bytes] of exportOf('text-embedding-bert', 'minilm.onnx')) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), bytes);
    storage.put('models', `m/${path}`, bytes);
  }
  const stores = [localStore(join(root, 'minilm.onnx')), bucketStore(t, 'gs://models/m/minilm.onnx')];
  for (const store of stores) {
    const { name, preparation } = await filesOf(store);
    assert.equal(name, 'minilm');
    assert.ok(preparation?.kind === 'text');
    assert.equal(preparation.settings.pooling?.file, '1_Pooling/config.json');
    store.close();
  }
});

test('from a bucket an export costs one request for each file that is used, and checkpoints of other libraries none', async (t) => {
  const storage = await storageFor(t);
  const files = exportOf('text-embedding-bert', 'onnx/model.onnx');
  const unused = [
    ...['pytorch_model.bin', 'model.safetensors', 'tf_model.h5', 'flax_model.msgpack', 'rust_model.ot', 'vocab.txt'],
    ...['onnx/model_quantized.onnx', 'openvino/openvino_model.bin', 'README.md', '.gitattributes', 'data_config.json'],
  ];
  for (const [path, bytes] of files) storage.put('models', `m/${path}`, bytes);
  for (const path of unused) storage.put('models', `m/${path}`, Buffer.alloc(1000));
  await filesOf(bucketStore(t, 'gs://models/m'));
  const reads = storage.requests.filter(({ kind }) => kind === 'media').map(({ name }) => name.slice('m/'.length));
  assert.deepEqual(reads.sort(), [...files.keys()].filter((path) => path !== 'vocab.txt').sort());
  assert.equal(storage.requests.filter(({ kind }) => kind !== 'media').length, 1, 'one listing');
});

test('the files of an export are fetched while the model is, and the first that fails ends the fetch of all', async (t) => {
  const storage = await storageFor(t);
  const files = exportOf('text-classifier', 'model.onnx');
  for (const [path, bytes] of files) storage.put('models', `m/${path}`, bytes);
  storage.inject({ kind: 'media', name: 'm/model.onnx', type: 'stall', times: 2 });
  const store = bucketStore(t, 'gs://models/m');
  const stalled = filesOf(store);
  const isAnswered = (path: string) =>
    storage.requests.some(({ name, status }) => name === `m/${path}` && status === 200);
  await until(
    async () => ['tokenizer.json', 'config.json', 'tokenizer_config.json'].every(isAnswered),
    'the small files',
  );
  store.close();
  await assert.rejects(stalled, { message: /the server is shutting down/ });
  storage.inject({ kind: 'media', name: 'm/config.json', type: 'status', status: 403 });
  await assert.rejects(filesOf(bucketStore(t, 'gs://models/m')), { message: /m\/config\.json/ });
});

test('a local export full of checkpoints starts no process, and their bytes do not count', async (t) => {
  const root = join(newFolder(t), 'reranker');
  cpSync(join(REFS, 'reranker'), root, { recursive: true });
  for (const path of ['pytorch_model.bin', 'model.safetensors', 'tf_model.h5', 'flax_model.msgpack', 'spiece.model']) {
    writeFileSync(join(root, path), 'x');
  }
  mkdirSync(join(root, '1_Pooling'), { recursive: true });
  const { bytes, preparation } = await localFiles(root);
  assert.deepEqual(descendants(process.pid), []);
  assert.equal(preparation?.kind, 'text');
  assert.equal(bytes, readFileSync(join(root, 'model.onnx')).length);
});

test('the files of a signed export are read from its copy, and one that was changed is refused', async (t) => {
  const root = join(newFolder(t), 'text-embedding-bert');
  cpSync(join(REFS, 'text-embedding-bert'), root, { recursive: true });
  const key = signingKey('ed25519');
  await signFolder(root, key.privateKey);
  const signature = { publicKeys: key.pem, modelName: undefined };
  const store = createStore({ uri: root, cache: undefined, filesAreMemory: false, signature }, EVENTS);
  t.after(() => store.close());
  const { preparation } = await filesOf(store);
  assert.ok(preparation?.kind === 'text' && !preparation.tokenizer.startsWith(root));
  for (const path of ['tokenizer.json', '1_Pooling/config.json']) {
    const before = readFileSync(join(root, path));
    writeFileSync(join(root, path), `${before} `);
    const message = new RegExp(`${path}: its SHA-256 is [0-9a-f]{64}, and [0-9a-f]{64} is signed`);
    await assert.rejects(filesOf(store), { code: 'MODEL_FAILED', message });
    writeFileSync(join(root, path), before);
  }
});

test('a tokenizer.json or config.json that is too large is refused by its listed size, before it is fetched or parsed', async (t) => {
  const storage = await storageFor(t);
  const root = join(newFolder(t), 'reranker');
  cpSync(join(REFS, 'reranker'), root, { recursive: true });
  truncateSync(join(root, 'tokenizer.json'), 100 * 2 ** 20);
  await assert.rejects(localFiles(root), {
    code: 'MODEL_FAILED',
    message: `${root}/tokenizer.json has 104857600 bytes, and may have 67108864: if callers send tensors, write "input": {"tensors": true} into model.json`,
  });
  writeFileSync(join(root, 'model.json'), '{"input":{"tensors":true}}');
  assert.equal((await localFiles(root)).preparation, undefined);
  for (const [path, bytes] of exportOf('reranker', 'model.onnx')) storage.put('models', `m/${path}`, bytes);
  storage.put('models', 'm/config.json', Buffer.alloc(2 ** 22 + 1, ' '));
  await assert.rejects(filesOf(bucketStore(t, 'gs://models/m')), {
    code: 'MODEL_FAILED',
    message: /^gs:\/\/models\/m\/config\.json has 4194305 bytes, and may have 4194304: /,
  });
  assert.ok(!storage.requests.some(({ kind, name }) => kind === 'media' && name === 'm/config.json'));
});

test('a folder named onnx is listed with the folder above it, which may have the files of an export', async (t) => {
  const root = newFolder(t);
  for (const [path, bytes] of exportOf('reranker', 'onnx/model.onnx')) {
    mkdirSync(dirname(join(root, 'rank', path)), { recursive: true });
    writeFileSync(join(root, 'rank', path), bytes);
  }
  mkdirSync(join(root, 'other/onnx'), { recursive: true });
  cpSync(join(REFS, 'reranker/model.onnx'), join(root, 'other/onnx/model.onnx'));
  const store = localStore(root);
  const names = async (under: string) => [...(await store.list(false, { under })).models.keys()];
  assert.deepEqual([await names('rank'), await names('rank/onnx')], [['rank'], ['rank']]);
  assert.deepEqual(await names('other/onnx'), ['other/onnx']);
});
