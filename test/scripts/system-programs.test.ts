import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findMissing, SYSTEM_PROGRAMS } from '../../scripts/system-programs.ts';

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
