import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { PAGE_PACKAGES } from '../../../scripts/browser-assets.ts';
import { bundledFolders, readLock } from '../../../scripts/sbom/packages.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('every package of the lock file has the SHA-512 of its archive, so that npm ci installs no other bytes', () => {
  const packages = Object.entries(readLock(ROOT)).filter(([folder]) => folder !== '');
  assert.deepEqual(
    packages.filter(([, { integrity }]) => integrity?.startsWith('sha512-') !== true).map(([folder]) => folder),
    [],
  );
});

test('the packages of a bundle are those of which it has bytes, with their own copies of others', () => {
  const inputs = {
    'functions/server.ts': { bytesInOutput: 10 },
    'node_modules/zod/v4/index.js': { bytesInOutput: 10 },
    'node_modules/zod/v4/core.js': { bytesInOutput: 10 },
    'node_modules/@s/a/node_modules/b/index.js': { bytesInOutput: 1 },
    'node_modules/unused/index.js': { bytesInOutput: 0 },
    '../elsewhere/node_modules/c/index.js': { bytesInOutput: 1 },
  };
  assert.deepEqual(bundledFolders({ outputs: { 'a.js': { inputs } } }), [
    'node_modules/@s/a/node_modules/b',
    'node_modules/c',
    'node_modules/zod',
  ]);
});

test('the packages of the pages are those that they import, and the viewer', async () => {
  const entryPoints = ['functions/page/page.ts', 'functions/page/docs/docs.ts'];
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints,
    outdir: 'x',
    bundle: true,
    write: false,
    metafile: true,
  });
  const imported = bundledFolders(metafile).map((folder) => folder.replace('node_modules/', ''));
  assert.deepEqual([...imported, 'swagger-ui-dist'].sort(), [...PAGE_PACKAGES].sort());
});
