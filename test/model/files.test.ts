import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { localFiles } from '../helpers/local-models.ts';
import { writeModel } from '../helpers/models.ts';

const BYTES = Uint8Array.of(1, 2, 3);

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'model files.'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('one file is a model by its own name', async (t) => {
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
  assert.match(String(stamps()), /my model\.v2\.onnx,3-/);
});

test("a file called model.onnx is a model by its folder's name", async (t) => {
  const path = join(writeModel(newFolder(t), 'iris', BYTES), 'model.onnx');
  assert.deepEqual([(await localFiles(path)).name, (await localFiles(path)).path], ['iris', path]);
});

test("a model's folder is a model by its name, with the manifest and the golden rows beside it", async (t) => {
  const golden = { tolerance: 0.5, rows: [{ features: [1], outputs: { y: 1 } }] };
  const folder = writeModel(newFolder(t), 'iris', BYTES, { version: '4', classes: ['a'] }, golden);
  const { name, version, path, place, manifest, golden: read } = await localFiles(folder);
  assert.deepEqual([name, version, path, place], ['iris', '4', join(folder, 'model.onnx'), join(folder, 'model.onnx')]);
  assert.deepEqual([manifest, read], [{ version: '4', classes: ['a'] }, golden]);
});

test('the manifest knows the name best, and the version folder the version', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'folder/7', BYTES, { name: 'iris', version: '1' });
  const { name, version } = await localFiles(folder);
  assert.deepEqual([name, version], ['iris', '7']);
});

test('of a repository the model that was asked for is taken, in its highest version', async (t) => {
  const folder = newFolder(t);
  for (const name of ['b.2 large/9', 'b.2 large/10', 'a']) writeModel(folder, name, BYTES);
  const { name, version, path } = await localFiles(folder, 'b.2 large');
  assert.deepEqual([name, version, path], ['b.2 large', '10', join(folder, 'b.2 large/10/model.onnx')]);
});

test('a manifest or golden rows that cannot be read fail the model, with the file', async (t) => {
  const folder = writeModel(newFolder(t), 'iris', BYTES, { clases: [] });
  await assert.rejects(localFiles(folder), (error: Error) => error.message.startsWith(join(folder, 'model.json')));
  writeFileSync(join(folder, 'model.json'), '{');
  await assert.rejects(localFiles(folder), { code: 'MODEL_FAILED', message: /model\.json is not JSON/ });
});

test("the weights beside a model count as the model's size, and an engine has to find them as they were listed", async (t) => {
  const root = newFolder(t);
  writeFileSync(join(root, 'model.onnx'), Buffer.alloc(10));
  writeFileSync(join(root, 'model.onnx.data'), Buffer.alloc(1000));
  writeFileSync(join(root, 'weights_data'), Buffer.alloc(100));
  writeFileSync(join(root, 'README.md'), 'no weights');
  mkdirSync(join(root, 'sub'));
  const { bytes, stamps } = await localFiles(root);
  assert.equal(bytes, 1110);
  const stamped = stamps()!.map(([path]) => path);
  assert.deepEqual(
    stamped.sort(),
    ['model.onnx', 'model.onnx.data', 'weights_data'].map((name) => join(root, name)),
  );
});
