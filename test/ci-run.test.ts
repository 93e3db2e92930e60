import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SYSTEM_PROGRAMS } from '../scripts/system-programs.ts';

const SCRIPT = join(import.meta.dirname, '..', '.ci', 'run');

/** Runs `.ci/run` where PATH has these shell scripts alone: no apt-get, so it ends after its check. */
function check(programs: Record<string, string>): { code: number | null; missing: string[]; stderr: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ci-run-'));
  try {
    for (const [name, line] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const env = { PATH: folder, XDG_CACHE_HOME: folder };
    const { status, stdout, stderr } = spawnSync('/bin/bash', [SCRIPT], { env, encoding: 'utf8' });
    const missing = Array.from(stdout.matchAll(/^missing: (.+?); to install it: .+$/gm), ([, name]) => name!);
    return { code: status, missing, stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("CI's script names every tool that is missing and how it is installed, before it does anything else", () => {
  const { code, missing, stderr } = check({});
  assert.equal(code, 1);
  assert.equal(stderr, '');
  for (const { name, optional } of SYSTEM_PROGRAMS)
    if (!optional)
      assert.ok(
        missing.some((one) => one.split(' 1.')[0] === name),
        name,
      );
  assert.ok(missing.includes('Node 20 or newer, with npm') && missing.includes('ps'));
});

for (const [text, isNew] of [
  ['Client Version: version.Info{Major:"1", Minor:"20", GitVersion:"v1.20.2"}', false],
  ['Client Version: v1.26.15\nKustomize Version: v4.5.7', false],
  ['Client Version: v1.27.0\nKustomize Version: v5.0.1', true],
] as const) {
  test(`CI's script takes kubectl for ${isNew ? 'there' : 'missing'} where it says ${text.split('\n').at(-1)}`, () => {
    const { missing } = check({ kubectl: `echo '${text}'` });
    assert.equal(missing.includes('kubectl 1.27 or newer'), !isNew);
  });
}
