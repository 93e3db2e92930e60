import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createFileSource } from '../../../functions/model/sources/file.ts';
import { sourceContract } from './contract.ts';

const NEVER = new AbortController().signal;

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'file source.'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let writes = 0;

function put(root: string, path: string, bytes: Uint8Array | string = 'x'): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  // A file system's clock ticks every few milliseconds, and an upload takes longer than that.
  const at = Date.now() / 1000 + ++writes / 100;
  utimesSync(file, at, at);
}

const pathsOf = async (uri: string) => (await createFileSource(uri).list(NEVER)).map(({ path }) => path);

sourceContract('a local folder', (t) => {
  const root = newFolder(t);
  return {
    source: createFileSource(root),
    missing: createFileSource(join(root, 'nowhere')),
    put: (path, bytes) => put(root, path, bytes),
    remove: (path) => rmSync(join(root, path)),
    close: () => {},
  };
});

test('hidden folders and node_modules are ignored', async (t) => {
  const root = newFolder(t);
  for (const path of ['a/model.onnx', '.git/x', 'a/.hidden/model.onnx', 'node_modules/p/model.onnx']) put(root, path);
  assert.deepEqual(await pathsOf(root), ['a/model.onnx']);
});

test('links are followed, as in a Kubernetes volume; circular and dangling ones are ignored', async (t) => {
  const root = newFolder(t);
  put(root, '..data/model.onnx', 'bytes');
  mkdirSync(join(root, 'iris'));
  symlinkSync('../..data/model.onnx', join(root, 'iris/model.onnx'));
  symlinkSync('..data', join(root, 'lily'));
  symlinkSync('nowhere', join(root, 'broken'));
  assert.deepEqual(await pathsOf(root), ['iris/model.onnx', 'lily/model.onnx']);
  symlinkSync('.', join(root, 'round'));
  assert.ok((await pathsOf(root)).length > 2);
});

test('a file is listed with its manifest and golden rows, and with requested files', async (t) => {
  const root = newFolder(t);
  const files = ['my model.v2.onnx', 'other.onnx', 'model.json', 'golden.json', 'w.onnx.data', 'sub/w', 'a/model.json'];
  for (const path of files) put(root, path);
  const uri = join(root, 'my model.v2.onnx');
  assert.deepEqual(await pathsOf(uri), ['golden.json', 'model.json', 'my model.v2.onnx']);
  const entries = await createFileSource(uri).list(NEVER, { also: ['sub/w', 'w.onnx.data', 'nowhere'] });
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['golden.json', 'model.json', 'my model.v2.onnx', 'sub/w', 'w.onnx.data'],
  );
});

test('hidden files below a folder are listed if they are requested', async (t) => {
  const root = newFolder(t);
  for (const path of ['a/model.onnx', 'a/.w/x', 'b/model.onnx']) put(root, path);
  const entries = await createFileSource(root).list(NEVER, { under: 'a', also: ['a/.w/x', 'a/.w/y'] });
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['a/.w/x', 'a/model.onnx'],
  );
});

test('a folder can be listed alone only if a listing of all has it', async (t) => {
  const root = newFolder(t);
  for (const path of ['a/1/2/3/4/5/6/x', '.git/x', 'node_modules/x']) put(root, path);
  put(dirname(root), 'outside.onnx');
  t.after(() => rmSync(join(dirname(root), 'outside.onnx')));
  for (const under of ['..', '../..', '.', '', '/', '/a', 'a/', 'a//1', 'a/../a', '.git', 'node_modules', 'a\0']) {
    assert.deepEqual(await createFileSource(root).list(NEVER, { under }), [], under);
  }
  for (const under of ['a/1/2/3/4/5/6', 'a/1/2/3/4/5/6/x', 'x'.repeat(5000)]) {
    assert.deepEqual(await createFileSource(root).list(NEVER, { under }), [], under);
  }
});

test('a file:// address is a path, with spaces', async (t) => {
  const root = newFolder(t);
  put(root, 'my iris/model.onnx');
  assert.deepEqual(await pathsOf(pathToFileURL(join(root, 'my iris')).href), ['model.onnx']);
});

test('a path that leads through a file does not exist', async (t) => {
  const root = newFolder(t);
  put(root, 'a');
  await assert.rejects(pathsOf(join(root, 'a/b')), {
    message: `MODEL_URI ${join(root, 'a/b')}: no such file or folder`,
  });
});

test('a folder of too many files is refused, with what to do', async (t) => {
  const root = newFolder(t);
  for (let i = 0; i <= 20_000; i++) writeFileSync(join(root, String(i)), '');
  await assert.rejects(pathsOf(root), {
    fault: 'refused',
    message: /more than 20000 files below it: point it at a folder/,
  });
});

test('an abort ends a listing', async (t) => {
  const root = newFolder(t);
  put(root, 'a/b');
  await assert.rejects(createFileSource(root).list(AbortSignal.abort(new Error('enough'))), /enough/);
});
