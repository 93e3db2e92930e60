import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const json = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'));

test('what builds the site is pinned in docs/, runs no install scripts, and is no dependency of the root', () => {
  const { devDependencies } = json('docs/package.json') as { devDependencies: Record<string, string> };
  const { packages } = json('docs/package-lock.json');
  for (const [name, version] of Object.entries(devDependencies)) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.equal(packages[`node_modules/${name}`].version, version);
    assert.equal(json('package-lock.json').packages[`node_modules/${name}`], undefined);
  }
  assert.match(readFileSync(join(ROOT, 'docs/.npmrc'), 'utf8'), /^ignore-scripts=true$/m);
});

test('vite is of a version that gets fixes, which the one that VitePress asks for no longer does', () => {
  const { overrides } = json('docs/package.json') as { overrides: { vite: string } };
  assert.match(overrides.vite, /^[6-9]\./);
  assert.equal(json('docs/package-lock.json').packages['node_modules/vite'].version, overrides.vite);
});

test('docs --help says what it builds', () => {
  const help = execFileSync(process.execPath, [join(ROOT, 'scripts/docs.ts'), '--help'], { encoding: 'utf8' });
  assert.match(help, /^npm run docs: .*docs\/\.vitepress\/dist/);
});
