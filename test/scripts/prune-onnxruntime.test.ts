import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const SCRIPT = join(import.meta.dirname, '../../scripts/prune-onnxruntime.ts');

/** A folder with onnxruntime-node for these platforms. */
function layOut(t: TestContext, platforms: readonly string[]): { root: string; has: (platform: string) => boolean } {
  const root = mkdtempSync(join(tmpdir(), 'prune-'));
  t.after(() => rmSync(root, { recursive: true }));
  const file = (platform: string): string =>
    join(root, 'node_modules/onnxruntime-node/bin/napi-v6', platform, 'a.node');
  for (const platform of platforms) {
    mkdirSync(join(file(platform), '..'), { recursive: true });
    writeFileSync(file(platform), '');
  }
  return { root, has: (platform) => existsSync(file(platform)) };
}

const prune = (root: string) => spawnSync(process.execPath, [SCRIPT, root], { encoding: 'utf8' });
const OWN = `${process.platform}/${process.arch}`;

test("of onnxruntime-node this platform's files stay alone, and a second run changes nothing", (t) => {
  const { root, has } = layOut(t, [OWN, 'plan9/mips', 'win32/riscv64']);
  for (let i = 0; i < 2; i++) {
    assert.equal(prune(root).status, 0);
    assert.deepEqual([has(OWN), has('plan9/mips'), has('win32/riscv64')], [true, false, false]);
  }
});

test('where there is nothing for this platform, nothing is deleted, and the place is named', (t) => {
  const { root, has } = layOut(t, ['plan9/mips']);
  const { status, stderr } = prune(root);
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`nothing for ${OWN} in ${root}`));
  assert.ok(has('plan9/mips'));
});
