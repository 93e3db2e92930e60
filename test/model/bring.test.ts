import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bring } from '../../functions/model/bring.ts';
import type { BringOrder } from '../../functions/model/fetch-protocol.ts';
import type { Entry } from '../../functions/model/source.ts';
import { createGcsSource } from '../../functions/model/sources/gcs.ts';
import { externalWeights, identity } from '../helpers/models.ts';
import { startStorage } from '../helpers/storage-server.ts';

const NEVER = new AbortController().signal;

/** Brings what a bucket holds under `m/`, as a server would. */
async function setUp(t: TestContext, objects: Record<string, Uint8Array | string>) {
  const storage = await startStorage();
  const root = mkdtempSync(join(tmpdir(), 'bring-'));
  t.after(() => Promise.all([storage.close(), rmSync(root, { recursive: true })]));
  for (const [name, bytes] of Object.entries(objects)) storage.put('models', `m/${name}`, Buffer.from(bytes));
  const source = createGcsSource('gs://models/m', { endpoint: storage.url });
  t.after(() => source.close());
  const entries = new Map((await source.list(NEVER)).map((entry): [string, Entry] => [entry.path, entry]));
  const folder = join(root, 'model');
  const order: BringOrder = {
    folder,
    model: ['model.onnx', entries.get('model.onnx')!],
    along: ['model.json', 'golden.json'].flatMap((name) =>
      entries.has(name) ? [[name, entries.get(name)!] as const] : [],
    ),
    beside: [...entries].filter(([name]) => name !== 'model.onnx'),
    sha256: undefined,
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
    bring: (more: Partial<BringOrder> = {}) => bring(source, { ...order, ...more }, options),
  };
}

test('a model comes with its manifest and golden rows, for the owner alone, and with nothing else', async (t) => {
  const model = identity();
  const { folder, bring, bytes, storage } = await setUp(t, {
    'model.onnx': model,
    'model.json': '{}',
    'notes.md': 'x',
  });
  assert.deepEqual(await bring(), { weights: [] });
  assert.ok(readFileSync(join(folder, 'model.onnx')).equals(model));
  assert.equal(readFileSync(join(folder, 'model.json'), 'utf8'), '{}');
  assert.equal(existsSync(join(folder, 'notes.md')), false);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(bytes(), model.length + 2);
  assert.ok(!storage.requests.some(({ kind, name }) => kind === 'media' && name.endsWith('notes.md')));
});

test('the weights that a model refers to come along, also from a folder below', async (t) => {
  for (const location of ['model.onnx.data', 'weights/layer 1.bin', 'odd']) {
    const { model, data } = externalWeights(location);
    const { folder, bring } = await setUp(t, { 'model.onnx': model, [location]: data });
    assert.deepEqual(await bring(), { weights: [location] });
    assert.ok(readFileSync(join(folder, location)).equals(data));
  }
});

test('weights that are not there are named', async (t) => {
  const { bring } = await setUp(t, { 'model.onnx': externalWeights('w.bin').model });
  await assert.rejects(bring(), {
    code: 'MODEL_FAILED',
    message: 'gs://models/m/model.onnx keeps weights in w.bin, which is not beside it: upload it too',
  });
});

test('a model that refers to a file outside of its folder is refused', async (t) => {
  for (const location of ['../other/w.bin', '/etc/passwd', 'a/../../w', '..']) {
    const { bring } = await setUp(t, { 'model.onnx': externalWeights(location).model });
    await assert.rejects(bring(), {
      code: 'MODEL_FAILED',
      message: /its external data is at ".*", outside of its folder/,
    });
  }
});

test('a file of another SHA-256 is refused, with both', async (t) => {
  const model = identity();
  const sha256 = createHash('sha256').update(model).digest('hex');
  const { bring } = await setUp(t, { 'model.onnx': model });
  await bring({ sha256 });
  await assert.rejects(bring({ sha256: 'f'.repeat(64) }), {
    code: 'MODEL_FAILED',
    message: `gs://models/m/model.onnx: its SHA-256 is ${sha256}, MODEL_SHA256 is ${'f'.repeat(64)}`,
  });
});

test('what is no ONNX is told by its address in the bucket', async (t) => {
  const { bring } = await setUp(t, { 'model.onnx': '<html>' });
  await assert.rejects(bring(), { code: 'MODEL_FAILED', message: /^gs:\/\/models\/m\/model\.onnx: .*<html>/ });
});
