import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findMissing, SYSTEM_PROGRAMS } from '../../scripts/system-programs.ts';

test('a program is missing unless an executable file of its name is in a folder of PATH', () => {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  try {
    writeFileSync(join(folder, 'curl'), '#!/bin/sh\n');
    writeFileSync(join(folder, 'python3'), '#!/bin/sh\n');
    chmodSync(join(folder, 'curl'), 0o755);
    chmodSync(join(folder, 'python3'), 0o644);
    const names = (path: string): string[] => findMissing(path).map(({ name }) => name);
    const all = SYSTEM_PROGRAMS.map(({ name }) => name);
    assert.deepEqual(
      names(`/nowhere:${folder}`),
      all.filter((name) => name !== 'curl'),
    );
    assert.deepEqual(names(''), all);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('every test that a program is needed for exists', () => {
  for (const name of SYSTEM_PROGRAMS.flatMap(({ tests }) => tests)) {
    assert.ok(existsSync(join(import.meta.dirname, `../system/${name}.system.ts`)), name);
  }
});
