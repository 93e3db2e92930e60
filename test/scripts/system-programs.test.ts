import assert from 'node:assert/strict';
import { chmodSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { findMissing, SYSTEM_PROGRAMS } from '../../scripts/system-programs.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A folder with a file of each name: an executable one, or not. */
function withPrograms(files: Record<string, boolean>, body: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  try {
    for (const [name, executable] of Object.entries(files)) {
      writeFileSync(join(folder, name), '#!/bin/sh\n');
      chmodSync(join(folder, name), executable ? 0o755 : 0o644);
    }
    body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const all = SYSTEM_PROGRAMS.map(({ name }) => name);
const namesOf = (missing: readonly { name: string }[]): string[] => missing.map(({ name }) => name);

test('a program is missing unless an executable file of its name is in a folder of PATH', () => {
  withPrograms({ curl: true, python3: false }, (folder) => {
    const missing = namesOf(findMissing(`/nowhere:${folder}`));
    assert.deepEqual(
      missing,
      all.filter((name) => name !== 'curl'),
    );
    assert.deepEqual(namesOf(findMissing('')), all);
  });
});

test('a program with probes is missing until one of them succeeds: a client without its server is of no use', () => {
  withPrograms({ docker: true }, (folder) => {
    assert.ok(namesOf(findMissing(folder, () => false)).includes('docker'));
    const asked: string[] = [];
    const missing = namesOf(findMissing(folder, (command) => asked.push(command.join(' ')) > 0));
    assert.ok(!missing.includes('docker') && !missing.includes('docker compose'));
    assert.deepEqual(asked, ['docker info', 'docker compose version']);
  });
});

test('every test that a program is needed for exists', () => {
  for (const name of SYSTEM_PROGRAMS.flatMap(({ tests }) => tests)) {
    assert.ok(existsSync(join(import.meta.dirname, `../system/${name}.system.ts`)), name);
  }
});

test('a test that starts a browser, Docker, Python or kubectl is listed for it: without the program it is left out', () => {
  const uses: readonly (readonly [program: string, source: RegExp])[] = [
    ['chromium', /from '(\.\/browser\.ts|playwright-core)'/],
    ['docker', /from '\.\.\/helpers\/image\.ts'/],
    ['python3', /from '\.\/python\.ts'|run\('python3'/],
    ['kubectl', /'kubectl'/],
  ];
  for (const file of globSync('test/system/*.system.ts', { cwd: ROOT })) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    for (const [program] of uses.filter(([, source]) => source.test(text))) {
      const { tests } = SYSTEM_PROGRAMS.find(({ name }) => name === program)!;
      assert.ok(tests.includes(basename(file, '.system.ts')), `${file} needs ${program}`);
    }
  }
});
