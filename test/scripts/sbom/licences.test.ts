import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PAGE_PACKAGES } from '../../../scripts/browser-assets.ts';
import { licenceTexts } from '../../../scripts/sbom/licences.ts';
import { nameOf, readLock } from '../../../scripts/sbom/packages.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Licences that allow to ship a package with this project, under terms that THIRD_PARTY_LICENSES.txt meets. */
const ALLOWED = new Set([
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'CC0-1.0',
  // Of spdx-exceptions, a list of names.
  'CC-BY-3.0',
  '(MIT OR CC0-1.0)',
  '0BSD',
  // libvips of sharp: a shared library in a package of its own, which is neither changed nor linked into anything here.
  'LGPL-3.0-or-later',
  'Apache-2.0 AND LGPL-3.0-or-later',
  'Apache-2.0 AND LGPL-3.0-or-later AND MIT',
]);

test('every package of production, and of the pages, has a licence of the list of allowed ones', () => {
  const packages = Object.entries(readLock(ROOT)).filter(
    ([folder, { dev }]) => folder !== '' && (dev !== true || PAGE_PACKAGES.includes(nameOf(folder))),
  );
  assert.ok(packages.length > 100, String(packages.length));
  const refused = packages.filter(([, { license = '' }]) => !ALLOWED.has(license));
  assert.deepEqual(
    refused.map(([folder, { license = 'none' }]) => `${folder}: ${license}`),
    [],
  );
});

/** A project with these files in its packages. */
function project(t: TestContext, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'licences-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries({ LICENSE: 'text of Apache-2.0', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

test('the licence and the notice of a package are taken over, and equal texts are there once, with all their packages', (t) => {
  const root = project(t, {
    'node_modules/a/LICENSE': 'same\r\ntext\n',
    'node_modules/a/NOTICE': 'notice of a',
    'node_modules/b/license.md': 'same\ntext',
    'node_modules/b/license.js': 'code',
  });
  const lock = { 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '2.0.0' } };
  const text = licenceTexts(root, lock, ['node_modules/b', 'node_modules/a']);
  assert.match(text, /^a 1\.0\.0\nb 2\.0\.0\n-+\n\nsame\ntext\n/m);
  assert.match(text, /^a 1\.0\.0\n-+\n\nnotice of a\n/m);
  assert.equal(text.split('same\ntext').length, 2);
  assert.doesNotMatch(text, /code/);
});

test('a package without a licence file gets the standard text of its licence, with its author', (t) => {
  const root = project(t, {
    'node_modules/a/package.json': '{"author":{"name":"Ann"}}',
    'node_modules/b/package.json': '{}',
    'node_modules/c/package.json': '{}',
    'node_modules/onnxruntime-node/package.json': '{"author":"somebody"}',
  });
  const lock = {
    'node_modules/a': { version: '1.0.0', license: 'MIT' },
    'node_modules/b': { version: '1.0.0', license: 'MIT' },
    'node_modules/c': { version: '1.0.0', license: 'Apache-2.0' },
    'node_modules/onnxruntime-node': { version: '1.0.0', license: 'MIT' },
  };
  const text = licenceTexts(root, lock, Object.keys(lock));
  assert.match(text, /^Copyright \(c\) Ann\n\nPermission is hereby granted/m);
  assert.match(text, /^Copyright \(c\) the authors of b$/m);
  assert.match(text, /^c 1\.0\.0\n-+\n\ntext of Apache-2\.0$/m);
  assert.match(text, /^Copyright \(c\) 2018 - present Microsoft Corporation$/m);
});

test('a package with neither a licence file nor a licence whose text is known is an error that names it', (t) => {
  const root = project(t, { 'node_modules/a/package.json': '{}' });
  assert.throws(
    () => licenceTexts(root, { 'node_modules/a': { version: '1.0.0', license: 'ISC' } }, ['node_modules/a']),
    /node_modules\/a has no licence file, and its licence is ISC: add its text to scripts\/sbom\/licences\.ts/,
  );
});

test('a package under the LGPL gets its README, which lists its libraries, and the texts of the LGPL and the GPL', (t) => {
  const root = project(t, { 'node_modules/a/package.json': '{}', 'node_modules/a/README.md': 'libraries of a' });
  const text = licenceTexts(root, { 'node_modules/a': { version: '1.0.0', license: 'LGPL-3.0-or-later' } }, [
    'node_modules/a',
  ]);
  assert.match(text, /^libraries of a$/m);
  assert.match(text, /^ *GNU LESSER GENERAL PUBLIC LICENSE$/m);
  assert.match(text, /^ *GNU GENERAL PUBLIC LICENSE$/m);
});

test('a package under two licences, without a file of them, gets both texts, with its owner', (t) => {
  const root = project(t, { 'node_modules/@bufbuild/protobuf/package.json': '{}' });
  const lock = { 'node_modules/@bufbuild/protobuf': { version: '1.0.0', license: '(Apache-2.0 AND BSD-3-Clause)' } };
  const text = licenceTexts(root, lock, ['node_modules/@bufbuild/protobuf']);
  assert.match(text, /text of Apache-2\.0\n/);
  assert.match(text, /Copyright \(c\) 2008 Google Inc\.\n\nRedistribution and use in source and binary forms/);
});
