import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createStore, type FetchedModel, type ModelStore } from '../../../functions/model/fetch/store.ts';
import { signFolder } from '../../../scripts/sign-model/sign.ts';
import { pickMain } from '../../helpers/local-models.ts';
import { addConstant, externalWeights, writeModel } from '../../helpers/models.ts';
import { signingKey } from '../../helpers/signing-keys.ts';
import { startStorage } from '../../helpers/storage-server.ts';

const EVENTS = { onRetry: () => {}, onCache: () => {} };
const KEY = signingKey('ed25519');
const signature = { publicKeys: KEY.pem, modelName: undefined };

/** A repository with version 1 of iris, of a file with weights beside it, which is signed. */
async function signedModel(t: TestContext): Promise<{ root: string; folder: string }> {
  const root = mkdtempSync(join(tmpdir(), 'signed-'));
  t.after(() => rmSync(root, { recursive: true }));
  const { model, data, location } = externalWeights();
  const folder = writeModel(root, 'iris/1', model, {});
  writeFileSync(join(folder, location), data);
  await signFolder(folder, KEY.privateKey);
  return { root, folder };
}

function openStore(t: TestContext, uri: string): ModelStore {
  const store = createStore({ uri, cache: undefined, filesAreMemory: false, signature }, EVENTS);
  t.after(store.close);
  return store;
}

/** Fetches the model behind `/predict` with its weights. */
async function fetchAll(store: ModelStore): Promise<FetchedModel> {
  const version = pickMain(await store.list(false));
  const fetched = await store.fetchModel(version, { background: false, sha256: undefined, onBytes: () => {} });
  await fetched.fetchWeights(fetched.external.map((path) => [path, version.siblings.get(path)!]));
  return fetched;
}

test('a signed local model is loaded from a copy, which whoever can write to its folder cannot change', async (t) => {
  const { root, folder } = await signedModel(t);
  const store = openStore(t, root);
  const { folder: copy, external } = await fetchAll(store);
  assert.deepEqual(external, ['model.onnx.data']);
  assert.notEqual(copy, folder);
  writeFileSync(join(folder, 'model.onnx'), 'another');
  assert.deepEqual(readFileSync(join(copy, 'model.onnx')), Buffer.from(externalWeights().model));
});

test('a file that was changed, added, removed, swapped or linked to another is refused before the model is parsed', async (t) => {
  const { root, folder } = await signedModel(t);
  const path = (name: string): string => join(folder, name);
  const store = openStore(t, root);
  async function refused(message: RegExp, change: () => void): Promise<void> {
    const before = ['model.onnx', 'model.onnx.data', 'model.json'].map(
      (name) => [name, readFileSync(path(name))] as const,
    );
    change();
    await assert.rejects(fetchAll(store), { code: 'MODEL_FAILED', message });
    for (const [name, bytes] of before) {
      rmSync(path(name), { force: true });
      writeFileSync(path(name), bytes);
    }
    rmSync(path('golden.json'), { force: true });
    await (await fetchAll(store)).release();
  }
  // A file that is no model would be reported as such if it were parsed.
  await refused(/iris\/1\/model\.onnx: its SHA-256 is [0-9a-f]{64}, and [0-9a-f]{64} is signed$/, () =>
    writeFileSync(path('model.onnx'), 'no model'),
  );
  await refused(/iris\/1\/model\.onnx\.data: its SHA-256/, () =>
    writeFileSync(path('model.onnx.data'), Buffer.alloc(8)),
  );
  await refused(/which are there: golden\.json$/, () => writeFileSync(path('golden.json'), '{"rows":[]}'));
  await refused(/which are not there: model\.json$/, () => unlinkSync(path('model.json')));
  await refused(/iris\/1\/model\.json: its SHA-256/, () => {
    const [a, b] = [path('model.json'), path('model.onnx')].map((file) => readFileSync(file));
    writeFileSync(path('model.json'), b!);
    writeFileSync(path('model.onnx'), a!);
  });
  await refused(/iris\/1\/model\.onnx\.data: its SHA-256/, () => {
    writeFileSync(join(root, 'elsewhere'), 'other bytes');
    unlinkSync(path('model.onnx.data'));
    symlinkSync(join(root, 'elsewhere'), path('model.onnx.data'));
  });
});

test('a model without a signature, or with that of another key or version, is refused', async (t) => {
  const { root, folder } = await signedModel(t);
  const store = openStore(t, root);
  const own = readFileSync(join(folder, 'model.sig'));
  await signFolder(folder, signingKey('ed25519').privateKey);
  await assert.rejects(fetchAll(store), { code: 'MODEL_FAILED', message: /signature is not valid for a key/ });
  await signFolder(folder, KEY.privateKey, 'iris/2');
  await assert.rejects(fetchAll(store), { message: /it was made for "iris\/2", and this is "iris\/1"$/ });
  writeFileSync(join(folder, 'model.sig'), Buffer.alloc(5 * 2 ** 20));
  await assert.rejects(fetchAll(store), { message: /model\.sig has 5242880 bytes, and may have 4194304$/ });
  unlinkSync(join(folder, 'model.sig'));
  await assert.rejects(fetchAll(store), { message: /it is not signed: there is no model\.sig beside it/ });
  writeFileSync(join(folder, 'model.sig'), own);
  const { folder: copy, release } = await fetchAll(store);
  await release();
  assert.ok(!existsSync(copy));
});

test('a model of a bucket is verified too', async (t) => {
  const { folder } = await signedModel(t);
  const storage = await startStorage();
  t.after(() => storage.close());
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  const put = (name: string): unknown => storage.put('models', `iris/1/${name}`, readFileSync(join(folder, name)));
  for (const name of ['model.onnx', 'model.onnx.data', 'model.json', 'model.sig']) put(name);
  const store = openStore(t, 'gs://models');
  await (await fetchAll(store)).release();
  storage.put('models', 'iris/1/model.onnx', addConstant(1));
  await assert.rejects(fetchAll(store), {
    code: 'MODEL_FAILED',
    message: /^gs:\/\/models: iris\/1\/model\.onnx: its SHA-256 is [0-9a-f]{64}, and [0-9a-f]{64} is signed$/,
  });
});
