import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeDeclarations } from '../../scripts/declarations.ts';
import { blocks, readPage } from '../helpers/readme.ts';

const ROOT = join(import.meta.dirname, '../..');
const OPTIONS = ['--noEmit', '--strict', '--target', 'es2024', '--module', 'nodenext', '--erasableSyntaxOnly'];

/** A project with the package as it is published: the files that `exports` names. */
const project = mkdtempSync(join(tmpdir(), 'declarations-'));
before(() => {
  const installed = join(project, 'node_modules/onnx-cloud-run');
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(installed, 'package.json'));
  writeDeclarations(ROOT, join(installed, 'dist'));
  cpSync(join(ROOT, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'), { recursive: true });
  cpSync(join(ROOT, 'node_modules/undici-types'), join(project, 'node_modules/undici-types'), { recursive: true });
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
});
after(() => rmSync(project, { recursive: true }));

function check(name: string, code: string): string {
  writeFileSync(join(project, name), code);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  return spawnSync(tsc, [...OPTIONS, name], { cwd: project, encoding: 'utf8' }).stdout;
}

test('the package exports the types of transform.ts, with which the example compiles', () => {
  assert.equal(check('example.ts', readFileSync(join(ROOT, 'examples/invoices/transform.ts'), 'utf8')), '');
});

test('the code of the documentation compiles', () => {
  const codes = blocks(readPage('docs/models/transform.md')).filter(({ language }) => language === 'ts');
  assert.ok(codes.length > 0);
  for (const { text } of codes) assert.equal(check('page.ts', text), '');
});

test('what does not fit the types is found', () => {
  const code = `import { InvalidInput, type Preprocess } from 'onnx-cloud-run/transform';
export const preprocess: Preprocess<number> = (body) => ({ x: body.length });
export const another: Preprocess = () => ({ x: null });
new InvalidInput(1);
`;
  const found = Array.from(check('wrong.ts', code).matchAll(/^wrong\.ts\((\d+),/gm), ([, line]) => Number(line));
  assert.deepEqual(found, [2, 3, 4]);
});
