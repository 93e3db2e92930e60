/**
 * `npm run verify`: the tests on the production build, some of which need programs of the system. Where one is missing it is
 * named with the way to install it, and its tests are left out; in CI that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findMissing } from './system-programs.ts';

process.chdir(join(import.meta.dirname, '..'));
const missing = findMissing(process.env.PATH ?? '');
const left = missing.flatMap(({ tests }) => tests);
for (const { name, install } of missing) console.error(`missing: ${name}; to install it: ${install}`);
if (missing.some(({ optional }) => !optional) && (process.env.CI ?? '') !== '') process.exit(1);

run(['scripts/build.ts']);
const files = globSync('test/system/**/*.system.ts').filter((file) => !left.includes(basename(file, '.system.ts')));
// One file at a time: each starts servers of its own, and one of them counts on its timers.
run(['--test', '--test-concurrency=1', ...files.sort()]);
if (left.length > 0)
  console.error(`left out for want of ${missing.map(({ name }) => name).join(', ')}: ${left.join(', ')}`);

function run(args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
