import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBom, foldersOf } from '../../../scripts/sbom/bom.ts';

const LOCK = {
  '': { name: 'project', version: '1.0.0', license: 'Apache-2.0' },
  'node_modules/@s/a': { version: '2.0.0', license: 'MIT', integrity: 'sha512-AQIDBA==' },
  'node_modules/b': { version: '3.0.0', license: '(MIT OR CC0-1.0)' },
  'node_modules/b/node_modules/@s/a': { version: '2.0.0', license: 'MIT', integrity: 'sha512-AQIDBA==' },
};

test('a component has name, version, package URL, licence, and the checksum of its archive as hexadecimal digits', () => {
  const { components } = createBom(LOCK, ['node_modules/@s/a', 'node_modules/b']);
  assert.deepEqual(components, [
    {
      type: 'library',
      'bom-ref': '@s/a@2.0.0',
      name: '@s/a',
      version: '2.0.0',
      purl: 'pkg:npm/%40s/a@2.0.0',
      licenses: [{ license: { id: 'MIT' } }],
      hashes: [{ alg: 'SHA-512', content: '01020304' }],
      properties: [{ name: 'cdx:npm:package:path', value: 'node_modules/@s/a' }],
    },
    {
      type: 'library',
      'bom-ref': 'b@3.0.0',
      name: 'b',
      version: '3.0.0',
      purl: 'pkg:npm/b@3.0.0',
      licenses: [{ expression: '(MIT OR CC0-1.0)' }],
      properties: [{ name: 'cdx:npm:package:path', value: 'node_modules/b' }],
    },
  ]);
});

test('the project is the subject of the bill, and depends on all components', () => {
  const { metadata, dependencies } = createBom(LOCK, ['node_modules/b', 'node_modules/@s/a']);
  assert.equal(metadata.component.purl, 'pkg:npm/project@1.0.0');
  assert.deepEqual(dependencies, [{ ref: 'project@1.0.0', dependsOn: ['@s/a@2.0.0', 'b@3.0.0'] }]);
});

test('a package that lies in two folders is one component with both, and the folders can be read again', () => {
  const folders = ['node_modules/@s/a', 'node_modules/b/node_modules/@s/a'];
  const bill = createBom(LOCK, folders);
  assert.equal(bill.components.length, 1);
  assert.deepEqual(foldersOf(bill), folders);
});

test('the same packages give the same bytes, in whatever order they were found: no time, no random number', () => {
  const folders = ['node_modules/b', 'node_modules/@s/a'];
  const texts = [folders, [...folders].reverse(), [...folders, ...folders]].map((each) =>
    JSON.stringify(createBom(LOCK, each)),
  );
  assert.deepEqual(new Set(texts).size, 1);
});

test('a package that the lock file does not have is an error that names its folder', () => {
  assert.throws(
    () => createBom(LOCK, ['node_modules/gone']),
    /^Error: node_modules\/gone is not in package-lock\.json/,
  );
});
