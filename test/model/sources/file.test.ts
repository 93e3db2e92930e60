import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createFileSource } from '../../../functions/model/sources/file.ts';
import { writeModel } from '../../helpers/models.ts';

const BYTES = Uint8Array.of(1, 2, 3);

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'file source.'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const fetch = (uri: string, name?: string) => createFileSource(uri, name).fetch();

test('one file is a model by its own name', async (t) => {
  const folder = newFolder(t);
  const path = join(folder, 'my model.v2.onnx');
  writeFileSync(path, BYTES);
  assert.deepEqual(await fetch(path), {
    name: 'my model.v2',
    version: '1',
    path,
    bytes: 3,
    manifest: {},
    golden: undefined,
  });
});

test("a file called model.onnx is a model by its folder's name", async (t) => {
  const path = join(writeModel(newFolder(t), 'iris', BYTES), 'model.onnx');
  assert.deepEqual([(await fetch(path)).name, (await fetch(path)).path], ['iris', path]);
});

test("a model's folder is a model by its name, with the manifest and the golden rows beside it", async (t) => {
  const golden = { tolerance: 0.5, rows: [{ features: [1], outputs: { y: 1 } }] };
  const folder = writeModel(newFolder(t), 'iris', BYTES, { version: '4', classes: ['a'] }, golden);
  assert.deepEqual(await fetch(folder), {
    name: 'iris',
    version: '4',
    path: join(folder, 'model.onnx'),
    bytes: 3,
    manifest: { version: '4', classes: ['a'] },
    golden,
  });
});

test('the manifest knows the name best', async (t) => {
  assert.equal((await fetch(writeModel(newFolder(t), 'folder', BYTES, { name: 'iris' }))).name, 'iris');
});

test('of a repository with one model that model is taken, of its versions the highest number', async (t) => {
  const folder = newFolder(t);
  for (const version of ['2', '10', '9', 'draft', '11x']) writeModel(folder, `iris/${version}`, BYTES);
  mkdirSync(join(folder, 'iris', '99'));
  const { name, version, path } = await fetch(folder);
  assert.deepEqual({ name, version, path }, { name: 'iris', version: '10', path: join(folder, 'iris/10/model.onnx') });
});

test('the number of a version folder goes before what its manifest says', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'iris/7', BYTES, { version: '1' });
  assert.equal((await fetch(folder)).version, '7');
});

test('a numbered version goes before a model in the folder itself', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'iris', BYTES);
  writeModel(folder, 'iris/1', BYTES);
  assert.equal((await fetch(folder, 'iris')).path, join(folder, 'iris/1/model.onnx'));
});

test('of several models MODEL_NAME chooses, and without it the answer lists them', async (t) => {
  const folder = newFolder(t);
  for (const name of ['b.2 large', 'a', 'c/3']) writeModel(folder, name, BYTES);
  mkdirSync(join(folder, 'notes'));
  mkdirSync(join(folder, '.git'));
  writeModel(folder, '.hidden', BYTES);
  const { name, path } = await fetch(folder, 'b.2 large');
  assert.deepEqual({ name, path }, { name: 'b.2 large', path: join(folder, 'b.2 large/model.onnx') });
  await assert.rejects(fetch(folder), {
    code: 'MODEL_FAILED',
    message: `MODEL_URI ${folder} holds 3 models: set MODEL_NAME to one of a, b.2 large, c`,
  });
});

test('a file:// address is a path, blanks and all', async (t) => {
  const folder = writeModel(newFolder(t), 'my iris', BYTES);
  assert.equal((await fetch(pathToFileURL(folder).href)).path, join(folder, 'model.onnx'));
});

test('a name that leads out of the repository is refused', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'outside', BYTES);
  mkdirSync(join(folder, 'repository'));
  for (const name of ['..', '../outside', 'a/../../outside', '/outside', 'a//b', join(folder, 'outside')]) {
    await assert.rejects(fetch(join(folder, 'repository'), name), {
      code: 'MODEL_FAILED',
      message: `MODEL_NAME ${name}: not a name`,
    });
  }
});

const MISSING: [title: string, uri: (folder: string) => string, name: string | undefined, message: RegExp][] = [
  ['nothing there', (folder) => join(folder, 'nowhere'), undefined, /^MODEL_URI .*nowhere: no such file or folder$/],
  [
    'an empty folder',
    (folder) => folder,
    undefined,
    /^MODEL_URI .*: no model\.onnx in it, nor in <name>\/ or <name>\/<version>\/$/,
  ],
  ['no such model', (folder) => folder, 'iris', /^no model\.onnx in .*iris, nor in a numbered version folder of it$/],
];

for (const [title, uri, name, message] of MISSING) {
  test(`${title}: the message says what was looked for, and where`, async (t) => {
    await assert.rejects(fetch(uri(newFolder(t)), name), { code: 'MODEL_FAILED', message });
  });
}

test('a manifest or golden rows that cannot be read fail the model, with the file', async (t) => {
  const folder = writeModel(newFolder(t), 'iris', BYTES, { clases: [] });
  await assert.rejects(fetch(folder), (error: Error) => error.message.startsWith(join(folder, 'model.json')));
  rmSync(join(folder, 'model.json'));
  mkdirSync(join(folder, 'golden.json'));
  await assert.rejects(fetch(folder), { code: 'MODEL_FAILED', message: /^cannot read .*golden\.json: EISDIR/ });
});

test('the files are looked at anew each time: a version that comes later is found', async (t) => {
  const folder = newFolder(t);
  writeModel(folder, 'iris/1', BYTES);
  const source = createFileSource(folder, undefined);
  assert.equal((await source.fetch()).version, '1');
  writeModel(folder, 'iris/2', BYTES);
  assert.equal((await source.fetch()).version, '2');
  renameSync(join(folder, 'iris'), join(folder, 'lily'));
  assert.equal((await source.fetch()).name, 'lily');
});

test("the weights beside a model count as the model's size", async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'external-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeFileSync(join(root, 'model.onnx'), Buffer.alloc(10));
  writeFileSync(join(root, 'model.onnx.data'), Buffer.alloc(1000));
  writeFileSync(join(root, 'weights_data'), Buffer.alloc(100));
  writeFileSync(join(root, 'README.md'), 'no weights');
  assert.equal((await createFileSource(root, undefined).fetch()).bytes, 1110);
});
