/**
 * `npm run verify`: runs the tests of the production build, some of which need programs of the system. A missing program is named with
 * the way to install it, and its tests are skipped; in CI that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { findMissing, SYSTEM_PROGRAMS } from './system-programs.ts';

readCommandLine(
  `npm run verify: builds, and runs the tests of the production build: test/system/*.system.ts.

Usage: npm run verify

Tests whose program of the system is missing are left out, and the program is named; with CI set that is a failure.

Example, one file alone:
  npm run build && node --test test/system/package.system.ts`,
  {},
);
process.chdir(join(import.meta.dirname, '..'));
const missing = findMissing(process.env.PATH ?? '');
const left = missing.flatMap(({ tests }) => tests);
for (const { name, install } of missing) console.error(`missing: ${name}; to install it: ${install}`);
if (missing.some(({ optional }) => !optional) && (process.env.CI ?? '') !== '') process.exit(1);

run(['scripts/build.ts']);
const nameOf = (file: string): string => basename(file, '.system.ts');
const files = globSync('test/system/**/*.system.ts').filter((file) => !left.includes(nameOf(file)));
// chaos and cli-loadtest-wrk measure the server under load, redis-faults times of Redis; those of Docker share an image, a network and names of containers.
const docker = SYSTEM_PROGRAMS.filter(({ name }) => name.startsWith('docker')).flatMap(({ tests }) => tests);
const oneByOne = files.filter((file) =>
  ['chaos', 'cli-loadtest-wrk', 'redis-faults', ...docker].includes(nameOf(file)),
);
test(
  files.filter((file) => !oneByOne.includes(file)),
  availableParallelism(),
);
test(oneByOne, 1);
if (left.length > 0)
  console.error(`left out for want of ${missing.map(({ name }) => name).join(', ')}: ${left.join(', ')}`);

function test(some: readonly string[], atATime: number): void {
  if (some.length > 0) run(['--test', `--test-concurrency=${atATime}`, ...some.toSorted()]);
}

function run(args: readonly string[]): void {
  const env = { NODE_COMPILE_CACHE: join(process.cwd(), 'node_modules/.cache/compile'), ...process.env };
  const { status } = spawnSync(process.execPath, args, { env, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
