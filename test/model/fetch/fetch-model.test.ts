import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { fetchModel } from '../../../functions/model/fetch/fetch-model.ts';
import type { FetchOrder, FileOrder } from '../../../functions/model/fetch/protocol.ts';
import { createGcsSource } from '../../../functions/model/sources/gcs/gcs.ts';
import type { Entry } from '../../../functions/model/sources/source.ts';
import { externalWeights, identity, lookUp } from '../../helpers/models.ts';
import { startStorage } from '../../helpers/storage-server.ts';

const NEVER = new AbortController().signal;

/** Brings what a bucket holds under `m/`, as a server would. */
async function setUp(t: TestContext, objects: Record<string, Uint8Array | string>) {
  const storage = await startStorage();
  const root = mkdtempSync(join(tmpdir(), 'fetch-model-'));
  t.after(() => Promise.all([storage.close(), rmSync(root, { recursive: true })]));
  for (const [name, bytes] of Object.entries(objects)) storage.put('models', `m/${name}`, Buffer.from(bytes));
  const source = createGcsSource('gs://models/m', { endpoint: storage.url });
  t.after(() => source.close());
  const entries = new Map((await source.list(NEVER)).map((entry): [string, Entry] => [entry.path, entry]));
  const folder = join(root, 'model');
  const fileOf = (path: string): FileOrder => ({ path, entry: entries.get(path)!, maxBytes: undefined });
  const order: FetchOrder = {
    folder,
    files: ['model.onnx', 'model.json', 'golden.json'].filter((path) => entries.has(path)).map(fileOf),
    model: { path: 'model.onnx', place: 'gs://models/m/model.onnx', sha256: undefined },
  };
  let bytes = 0;
  const options = {
    signal: NEVER,
    onRetry: () => {},
    onBytes: (more: number) => {
      bytes += more;
    },
  };
  return {
    folder,
    storage,
    bytes: () => bytes,
    fileOf,
    fetchModel: (sha256?: string) => fetchModel(source, { ...order, model: { ...order.model!, sha256 } }, options),
    bringFiles: (...files: FileOrder[]) => fetchModel(source, { folder, files, model: undefined }, options),
  };
}

test('a model is fetched with its manifest and golden rows only, readable by the owner alone', async (t) => {
  const model = identity();
  const { folder, fetchModel, bytes, storage } = await setUp(t, {
    'model.onnx': model,
    'model.json': '{}',
    'notes.md': 'x',
  });
  assert.deepEqual(await fetchModel(), { external: [] });
  assert.ok(readFileSync(join(folder, 'model.onnx')).equals(model));
  assert.equal(readFileSync(join(folder, 'model.json'), 'utf8'), '{}');
  assert.equal(existsSync(join(folder, 'notes.md')), false);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(bytes(), model.length + 2);
  assert.ok(!storage.requests.some(({ kind, name }) => kind === 'media' && name.endsWith('notes.md')));
});

test("the locations of the weights are those of the model's file, and they are fetched on demand", async (t) => {
  for (const location of ['model.onnx.data', 'weights/layer 1.bin', 'odd']) {
    const { model, data } = externalWeights(location);
    const { folder, fetchModel, bringFiles, fileOf } = await setUp(t, { 'model.onnx': model, [location]: data });
    assert.deepEqual(await fetchModel(), { external: [location] });
    assert.equal(existsSync(join(folder, location)), false);
    assert.deepEqual(await bringFiles(fileOf(location)), { external: [] });
    assert.ok(readFileSync(join(folder, location)).equals(data));
  }
});

test('the bytes of a model that engines can map are counted', async (t) => {
  const { fetchModel } = await setUp(t, { 'model.onnx': lookUp(1, 2000) });
  assert.deepEqual(await fetchModel(), { external: [], mappableBytes: 8000 });
});

test('a compressed file must not have more than its limit uncompressed', async (t) => {
  const { folder, storage, bringFiles, fileOf } = await setUp(t, { 'model.onnx': identity() });
  storage.put('models', 'm/golden.json', gzipSync(Buffer.alloc(2 ** 20, ' ')), { contentEncoding: 'gzip' });
  const [entry] = (await createGcsSource('gs://models/m', { endpoint: storage.url }).list(NEVER)).filter(
    ({ path }) => path === 'golden.json',
  );
  const file = { ...fileOf('golden.json'), entry: entry! };
  await bringFiles({ ...file, maxBytes: 2 ** 20 });
  await assert.rejects(bringFiles({ ...file, maxBytes: 2 ** 20 - 1 }), {
    code: 'MODEL_FAILED',
    message: /golden\.json has more than 1048575 bytes once it is unpacked/,
  });
  assert.deepEqual(readdirSync(folder), ['golden.json']);
});

test('a file with another SHA-256 is refused, with both', async (t) => {
  const model = identity();
  const sha256 = createHash('sha256').update(model).digest('hex');
  const { fetchModel } = await setUp(t, { 'model.onnx': model });
  await fetchModel(sha256);
  await assert.rejects(fetchModel('f'.repeat(64)), {
    code: 'MODEL_FAILED',
    message: `gs://models/m/model.onnx: its SHA-256 is ${sha256}, MODEL_SHA256 is ${'f'.repeat(64)}`,
  });
});

test('the error for a file that is not ONNX names its address in the bucket', async (t) => {
  const { fetchModel } = await setUp(t, { 'model.onnx': '<html>' });
  await assert.rejects(fetchModel(), { code: 'MODEL_FAILED', message: /^gs:\/\/models\/m\/model\.onnx: .*<html>/ });
});

test('a file with another SHA-256 than the one that was signed is refused, with both', async (t) => {
  const { bringFiles, fileOf } = await setUp(t, { 'model.onnx': identity() });
  const [sha256, forged] = [identity(), identity('int64')].map((bytes) =>
    createHash('sha256').update(bytes).digest('hex'),
  );
  await bringFiles({ ...fileOf('model.onnx'), sha256 });
  await assert.rejects(bringFiles({ ...fileOf('model.onnx'), sha256: forged }), {
    code: 'MODEL_FAILED',
    message: `gs://models/m: model.onnx: its SHA-256 is ${sha256}, and ${forged} is signed`,
  });
});
