import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const read = (path: string): string => readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

test("the clients have the server's version and licence", () => {
  assert.equal(JSON.parse(read('clients/typescript/package.json')).version, version);
  assert.equal(/^version = "(.*)"$/m.exec(read('clients/python/pyproject.toml'))?.[1], version);
  for (const client of ['typescript', 'python'])
    assert.equal(read(`clients/${client}/LICENSE`), read('LICENSE'), client);
});

test('the TypeScript client is a package without dependencies, for Node 20 and newer, that bundlers may take apart', () => {
  const manifest = JSON.parse(read('clients/typescript/package.json'));
  for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies', 'devDependencies'])
    assert.ok(!(kind in manifest), kind);
  assert.deepEqual([manifest.engines, manifest.sideEffects, manifest.type], [{ node: '>=20' }, false, 'module']);
});
