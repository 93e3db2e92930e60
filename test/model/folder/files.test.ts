import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { localFiles } from '../../helpers/local-models.ts';
import { externalWeights, writeModel } from '../../helpers/models.ts';

const BYTES = Uint8Array.of(1, 2, 3);

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'model files.'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('a single file is a model with its own name', async (t) => {
  const path = join(newFolder(t), 'my model.v2.onnx');
  writeFileSync(path, BYTES);
  const { stamps, ...files } = await localFiles(path);
  assert.deepEqual(files, {
    name: 'my model.v2',
    version: '1',
    path,
    place: path,
    bytes: 3,
    manifest: {},
    golden: undefined,
  });
  assert.match(String(stamps), /my model\.v2\.onnx,3-/);
});

test("a file named model.onnx is a model with its folder's name", async (t) => {
  const path = join(writeModel(newFolder(t), 'iris', BYTES), 'model.onnx');
  assert.deepEqual([(await localFiles(path)).name, (await localFiles(path)).path], ['iris', path]);
});

test("a model's folder is a model with the folder's name, its manifest and its golden rows", async (t) => {
  const golden = { tolerance: 0.5, rows: [{ features: [1], outputs: { __proto__: null, y: 1 } }] };
  const folder = writeModel(newFolder(t), 'iris', BYTES, { version: '4', classes: ['a'] }, golden);
  const { name, version, path, place, manifest, golden: read } = await localFiles(folder);
  assert.deepEqual([name, version, path, place], ['iris', '4', join(folder, 'model.onnx'), join(folder, 'model.onnx')]);
  assert.deepEqual([manifest, read], [{ version: '4', classes: ['a'] }, golden]);
});

test('the name of the manifest has precedence, and for the version the number of the folder', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'folder/7', BYTES, { name: 'iris', version: '1' });
  const { name, version } = await localFiles(folder);
  assert.deepEqual([name, version], ['iris', '7']);
});

test('the requested model of a repository is loaded in its highest version', async (t) => {
  const folder = newFolder(t);
  for (const name of ['b.2 large/9', 'b.2 large/10', 'a']) writeModel(folder, name, BYTES);
  const { name, version, path } = await localFiles(folder, 'b.2 large');
  assert.deepEqual([name, version, path], ['b.2 large', '10', join(folder, 'b.2 large/10/model.onnx')]);
});

test('a manifest or golden rows that cannot be read fail the model, and the error names the file', async (t) => {
  const folder = writeModel(newFolder(t), 'iris', BYTES, { clases: [] });
  await assert.rejects(localFiles(folder), (error: Error) => error.message.startsWith(join(folder, 'model.json')));
  writeFileSync(join(folder, 'model.json'), '{');
  await assert.rejects(localFiles(folder), { code: 'MODEL_FAILED', message: /model\.json is not JSON/ });
});

test('the weights to which a model refers count in its size, and their stamps are checked by the engines', async (t) => {
  const root = newFolder(t);
  const { model, data, location } = externalWeights('odd name');
  writeFileSync(join(root, 'model.onnx'), model);
  writeFileSync(join(root, location), data);
  writeFileSync(join(root, 'pytorch_model.bin'), Buffer.alloc(1000));
  writeFileSync(join(root, 'other.onnx.data'), Buffer.alloc(1000));
  const { bytes, stamps } = await localFiles(root);
  assert.equal(bytes, model.length + data.length);
  assert.deepEqual(stamps!.map(([path]) => path).sort(), [join(root, 'model.onnx'), join(root, location)]);
});

test('a manifest or golden rows that are too large are refused before they are read, with the size and the limit', async (t) => {
  for (const [name, limit] of [
    ['model.json', 2 ** 20],
    ['golden.json', 2 ** 24],
  ] as const) {
    const root = writeModel(newFolder(t), 'iris', BYTES);
    writeFileSync(join(root, name), Buffer.alloc(limit, ' '));
    await assert.rejects(localFiles(root), { code: 'MODEL_FAILED', message: /is not JSON/ });
    writeFileSync(join(root, name), Buffer.alloc(limit + 1, ' '));
    const message = new RegExp(`^${join(root, name)} has ${limit + 1} bytes, and may have ${limit}: `);
    await assert.rejects(localFiles(root), { code: 'MODEL_FAILED', message });
  }
});

test('a byte order mark before the text is skipped', async (t) => {
  const root = writeModel(newFolder(t), 'iris', BYTES);
  writeFileSync(join(root, 'model.json'), '\ufeff{"name":"lily"}');
  assert.equal((await localFiles(root)).name, 'lily');
});
