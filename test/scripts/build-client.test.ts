import assert from 'node:assert/strict';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { buildClient } from '../../scripts/build-client.ts';

test('the client is one file without an import, and its types import nothing but one another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'build-client-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'left-over.js'), '');
  await buildClient(folder);
  const code = readFileSync(join(folder, 'client.js'), 'utf8');
  assert.doesNotMatch(code, /^\s*import\b|\bimport\(|\brequire\(|\bBuffer\b/m);
  assert.deepEqual(Object.keys(await import(pathToFileURL(join(folder, 'client.js')).href)).sort(), [
    'ClientError',
    'createClient',
  ]);
  const types = globSync('*.d.ts', { cwd: folder });
  assert.ok(types.includes('client.d.ts') && !types.includes('backoff.d.ts'), 'types that no caller can name');
  assert.deepEqual(globSync('*', { cwd: folder }).sort(), ['client.js', ...types].sort());
  for (const name of types) {
    const text = readFileSync(join(folder, name), 'utf8');
    for (const [, target] of text.matchAll(/\bfrom '([^']+)'/g)) {
      assert.match(target!, /^\.\/.*\.js$/, name);
      const declared = join(dirname(join(folder, name)), target!.replace(/\.js$/, '.d.ts'));
      assert.ok(existsSync(declared), `${name}: ${target}`);
    }
  }
});
