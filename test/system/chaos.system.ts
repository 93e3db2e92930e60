import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT, run } from './program.ts';

const BOUND_MS = 600_000;

test('the short form of the faults under load misses no bar of correctness', async () => {
  const { stdout, stderr, code } = await run(process.execPath, [`${ROOT}/scripts/chaos.ts`, '--quick'], {}, BOUND_MS);
  assert.match(stdout, /\d+ bars: \d+ met, 0 missed/, stdout + stderr);
  assert.equal(code, 0);
});
