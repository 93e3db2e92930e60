import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { describeMachine } from '../../../functions/model/compiled/machine.ts';

/** The description of a CPU with this text in /proc/cpuinfo. */
function cpuOf(t: TestContext, text: string): string {
  const root = mkdtempSync(join(tmpdir(), 'machine-'));
  t.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, 'proc'));
  writeFileSync(join(root, 'proc', 'cpuinfo'), text);
  return describeMachine(root).cpu;
}

const x86 = (flags: string): string => `processor\t: 0\nmodel name\t: A CPU\nflags\t\t: ${flags}\nbogomips\t: 4000\n\n`;

test('CPUs with the same vector instructions are the same, whatever else they have', (t) => {
  const cpu = cpuOf(t, x86('fpu avx2 fma avx512f hypervisor'));
  assert.equal(cpuOf(t, x86('avx512f fpu md_clear avx2 fma') + x86('avx512f avx2 fma')), cpu);
  assert.match(cpu, /^\w+: avx2 avx512f fma$/);
});

for (const flags of [
  'fpu avx2 fma',
  'fpu avx2 fma avx512f avx512_vnni',
  'avx2 fma avx512f amx_int8',
  'avx2 fma avx512f avx_vnni',
]) {
  test(`a CPU with ${flags} is another one than one with avx2 fma avx512f`, (t) => {
    assert.notEqual(cpuOf(t, x86(flags)), cpuOf(t, x86('avx2 fma avx512f')));
  });
}

test('CPUs of arm64 differ by their features, and by their parts', (t) => {
  const arm = (features: string, part: string): string =>
    `Features\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: ${part}\nCPU revision\t: 1\n`;
  const cpu = cpuOf(t, arm('fp asimd bf16', '0xd40'));
  assert.equal(cpuOf(t, arm('asimd fp bf16', '0xd40').replace('revision\t: 1', 'revision\t: 2')), cpu);
  for (const other of [arm('fp asimd', '0xd40'), arm('fp asimd bf16', '0xd0c')]) assert.notEqual(cpuOf(t, other), cpu);
});

test('the runtime is named with its version and the sizes of its files', () => {
  assert.match(describeMachine().runtime, /^onnxruntime-node \d+\.\d+\.\d+ \(.*onnxruntime_binding\.node \d+\)$/);
});
