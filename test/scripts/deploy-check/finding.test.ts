import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Finding, withoutRepeats } from '../../../scripts/deploy-check/finding.ts';

const found = (file: string, line: number | undefined, problem = 'wrong'): Finding => ({
  file,
  line,
  place: 'A spec',
  problem,
});

test('a finding in builds is reported once, and not if a file has it', () => {
  const raw = found('a.yaml', 3);
  const base = found('k8s/base', undefined, 'other');
  const overlay = found('k8s/overlays/dev', undefined, 'other');
  assert.deepEqual(withoutRepeats([base, overlay, found('k8s/base', undefined), raw]), [raw, base]);
});

test('a finding in files is reported at each place', () => {
  const all = [found('a.yaml', 3), found('b.yaml', 3), found('a.yaml', 4)];
  assert.deepEqual(withoutRepeats([...all, ...all]), all);
});
