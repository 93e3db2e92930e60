import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createStore, type ModelStore } from '../../../functions/model/fetch/store.ts';
import { stampOf } from '../../../functions/model/folder/layout.ts';
import { signFolder } from '../../../scripts/sign-model/sign.ts';
import { descendants } from '../../helpers/descendants.ts';
import { localFiles, localStore, pickMain } from '../../helpers/local-models.ts';
import { identity, writeModel } from '../../helpers/models.ts';
import { signingKey } from '../../helpers/signing-keys.ts';
import { startStorage } from '../../helpers/storage-server.ts';

const CODE = 'export const postprocess = () => 1;';
const EVENTS = { onRetry: () => {}, onCache: () => {} };

/** The folder of a model with files beside it. */
function modelWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'code-'));
  t.after(() => rmSync(root, { recursive: true }));
  const folder = writeModel(root, 'm', identity());
  mkdirSync(join(folder, 'transform'));
  for (const [path, content] of Object.entries(files)) writeFileSync(join(folder, path), content);
  return folder;
}

async function fetchFrom(store: ModelStore) {
  const version = pickMain(await store.list(false));
  return store.fetchModel(version, { background: false, sha256: undefined, onBytes: () => {} });
}

test('a file transform.ts or transform.js beside the model is its code, with the stamps of what lies in transform/', async (t) => {
  for (const name of ['transform.ts', 'transform.js']) {
    const folder = modelWith(t, { [name]: CODE, 'transform/words.json': '[]', 'other.ts': CODE });
    const { preparation, stamps } = await localFiles(folder);
    assert.ok(preparation?.kind === 'code');
    assert.deepEqual([preparation.path, preparation.place], [join(folder, name), join(folder, name)]);
    assert.deepEqual(preparation.stamps?.map(([path]) => path).sort(), [
      join(folder, name),
      join(folder, 'transform/words.json'),
    ]);
    // An engine does not end because of them.
    assert.deepEqual(
      stamps?.map(([path]) => path),
      [join(folder, 'model.onnx')],
    );
  }
});

test('without such a file a folder transform/ has no meaning', async (t) => {
  const folder = modelWith(t, { 'transform/words.json': '[]' });
  assert.equal((await localFiles(folder)).preparation, undefined);
});

test('both files at once are refused: which one is to run is not known', async (t) => {
  const folder = modelWith(t, { 'transform.ts': CODE, 'transform.js': CODE });
  await assert.rejects(localFiles(folder), {
    code: 'MODEL_FAILED',
    message: `${join(folder, 'transform.ts')}: there is transform.js as well: keep the one that is to run`,
  });
});

test('a change of the code, and of what lies beside it in transform/, is another version', async (t) => {
  const folder = modelWith(t, { 'transform.ts': CODE, 'transform/words.json': '[]', 'notes.txt': '' });
  const stamp = async () => stampOf(pickMain(await localStore(folder).list(false)), []);
  const stamps = [await stamp()];
  for (const path of ['transform.ts', 'transform/words.json', 'transform/more.ts']) {
    writeFileSync(join(folder, path), `// ${path}`);
    stamps.push(await stamp());
  }
  assert.equal(new Set(stamps).size, 4);
  writeFileSync(join(folder, 'notes.txt'), 'more');
  assert.equal(await stamp(), stamps.at(-1));
});

async function bucketOf(t: TestContext, allowsCode?: boolean) {
  const storage = await startStorage();
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  for (const [path, content] of Object.entries({ 'transform.js': CODE, 'transform/a/b.json': '1', 'notes.txt': '' })) {
    storage.put('models', `m/${path}`, Buffer.from(content));
  }
  storage.put('models', 'm/model.onnx', identity());
  const options = { uri: 'gs://models/m', cache: undefined, filesAreMemory: false };
  const store = createStore({ ...options, ...(allowsCode !== undefined && { allowsCode }) }, EVENTS);
  t.after(async () => {
    store.close();
    await storage.close();
  });
  return { storage, store };
}

test('code in a bucket is refused before anything is read, with the setting that allows it', async (t) => {
  const { storage, store } = await bucketOf(t);
  await assert.rejects(fetchFrom(store), {
    code: 'MODEL_FAILED',
    message:
      'gs://models/m/transform.js is code, and models of a bucket may have none: set MODEL_CODE=allow if you trust everybody who can write to the bucket',
  });
  assert.deepEqual(
    storage.requests.filter(({ kind }) => kind === 'media'),
    [],
  );
});

test('code in a bucket that is allowed is fetched with what lies in transform/, and nothing else', async (t) => {
  const { storage, store } = await bucketOf(t, true);
  const { folder } = await fetchFrom(store);
  assert.equal(readFileSync(join(folder, 'transform.js'), 'utf8'), CODE);
  assert.equal(readFileSync(join(folder, 'transform/a/b.json'), 'utf8'), '1');
  const read = storage.requests.filter(({ kind }) => kind === 'media').map(({ name }) => name);
  assert.deepEqual([...new Set(read)].sort(), ['m/model.onnx', 'm/transform.js', 'm/transform/a/b.json']);
});

test('the code of a signed model is signed like its other files', async (t) => {
  const key = signingKey('ed25519');
  const folder = modelWith(t, { 'transform.ts': CODE });
  await signFolder(folder, key.privateKey);
  const signature = { publicKeys: key.pem, modelName: undefined };
  const store = createStore({ uri: folder, cache: undefined, filesAreMemory: false, signature }, EVENTS);
  t.after(store.close);
  const fetched = await fetchFrom(store);
  assert.equal(readFileSync(join(fetched.folder, 'transform.ts'), 'utf8'), CODE);
  writeFileSync(join(folder, 'transform.ts'), `${CODE}// changed`);
  await assert.rejects(fetchFrom(store), { code: 'MODEL_FAILED', message: /transform\.ts: its SHA-256 is/ });
  rmSync(join(folder, 'transform.ts'));
  writeFileSync(join(folder, 'transform.js'), CODE);
  await assert.rejects(fetchFrom(store), { code: 'MODEL_FAILED', message: /which are there: transform\.js$/ });
});

test('code beside a model that is one file is its code', async (t) => {
  const folder = modelWith(t, { 'transform.ts': CODE });
  const { preparation } = await localFiles(join(folder, 'model.onnx'));
  assert.equal(preparation?.kind, 'code');
});

test('code makes the inputs instead of the files of an export, and not beside input.text or input.image', async (t) => {
  const files = { 'transform.ts': CODE, 'config.json': '{"model_type":"bert"}', 'tokenizer.json': '{}' };
  assert.equal((await localFiles(modelWith(t, files))).preparation?.kind, 'code');
  for (const field of ['text', 'image']) {
    const folder = modelWith(t, { ...files, 'model.json': `{"input":{"${field}":{}}}` });
    await assert.rejects(localFiles(folder), {
      code: 'MODEL_FAILED',
      message: `${join(folder, 'transform.ts')} and input.${field} of model.json both say how the inputs are made: keep one of them`,
    });
  }
});

test('code beside a model is not taken for weights: no process is started to look for them', async (t) => {
  const folder = modelWith(t, { 'transform.ts': CODE, 'transform/words.ts': '' });
  const store = localStore(folder);
  t.after(store.close);
  await fetchFrom(store);
  assert.deepEqual(descendants(process.pid), []);
});
