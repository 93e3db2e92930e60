import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dependencyFolders, isRuntimeFile, packagesOf } from '../../scripts/runtime-modules.ts';

test('all that the named packages depend on comes along, and nothing else', () => {
  const lock = {
    '': { dependencies: { a: '1', b: '1' } },
    'node_modules/a': { dependencies: { c: '1' }, optionalDependencies: { d: '1' } },
    'node_modules/b': { dependencies: { c: '1' } },
    'node_modules/c': { peerDependencies: { e: '1', f: '1' } },
    'node_modules/d': {},
    'node_modules/e': { dependencies: { a: '1' } },
    'node_modules/x': {},
  };
  const folders = dependencyFolders(lock, ['a']);
  assert.deepEqual(
    folders,
    ['a', 'c', 'd', 'e'].map((name) => `node_modules/${name}`),
  );
});

test("a package's own copy of a dependency is preferred to one above it, as in Node", () => {
  const lock = {
    'node_modules/@s/a': { dependencies: { c: '1', b: '1' } },
    'node_modules/@s/a/node_modules/c': { dependencies: { d: '1' } },
    'node_modules/@s/a/node_modules/b': {},
    'node_modules/@s/a/node_modules/c/node_modules/d': { dependencies: { b: '1', e: '1' } },
    'node_modules/b': {},
    'node_modules/c': {},
    'node_modules/e': {},
  };
  assert.deepEqual(dependencyFolders(lock, ['@s/a']), [
    'node_modules/@s/a',
    'node_modules/@s/a/node_modules/b',
    'node_modules/@s/a/node_modules/c',
    'node_modules/@s/a/node_modules/c/node_modules/d',
    'node_modules/e',
  ]);
});

test('an optional package may be missing, as those of other platforms are; another may not', () => {
  const lock = { 'node_modules/a': { dependencies: { o: '1' }, optionalDependencies: { o: '1' } } };
  assert.deepEqual(dependencyFolders(lock, ['a']), ['node_modules/a']);
  const broken = { 'node_modules/a': { dependencies: { gone: '1' } } };
  assert.throws(
    () => dependencyFolders(broken, ['a']),
    /gone, needed by node_modules\/a, is not in package-lock\.json/,
  );
});

test('an image without pictures has all packages but sharp', () => {
  assert.ok(packagesOf('on').includes('sharp'));
  assert.deepEqual(
    packagesOf('off'),
    packagesOf('on').filter((name) => name !== 'sharp'),
  );
  assert.throws(() => packagesOf('no'), { message: 'PICTURES: expected on or off, got no' });
});

test('code, data and licences are copied; types, maps, prose and the files of tools are not', () => {
  for (const file of [
    'a.js',
    'a.cjs',
    'a.mjs',
    'a.json',
    'a.proto',
    'a.node',
    'lib.so.1',
    'LICENSE',
    'LICENSE.md',
    'NOTICE.md',
    'node_modules/sharp/dist/index.mjs',
  ])
    assert.ok(isRuntimeFile(`/p/${file}`), file);
  for (const file of [
    'a.d.ts',
    'a.d.cts',
    'a.ts',
    'a.js.map',
    'README.md',
    '.npmrc',
    '.github',
    'tsconfig.tsbuildinfo',
    'pipeline.cc',
    'pipeline.h',
    'binding.gyp',
    'lib.rs',
    'Cargo.toml',
    'node_modules/sharp/dist/index.cjs',
  ])
    assert.ok(!isRuntimeFile(`/p/${file}`), file);
});
