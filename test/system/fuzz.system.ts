import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';
import { ROOT, run } from './program.ts';

const COUNT = 3000;
const BOUND_MS = 180_000;

test('bodies that are almost right lead to no 5xx and no hang', async () => {
  buildIfNeeded();
  const args = [
    `${ROOT}/scripts/fuzz.ts`,
    '--seed',
    '7',
    '--count',
    String(COUNT),
    '--server',
    `${ROOT}/dist/server.js`,
  ];
  const { stdout, stderr, code } = await run(process.execPath, args, {}, BOUND_MS);
  assert.equal(code, 0, stdout + stderr);
});
