/**
 * `npm run verify`: runs the tests of the production build, some of which need programs of the system. A missing program is named with
 * the way to install it, and its tests are skipped; in CI that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { run as runTests } from 'node:test';
import { spec } from 'node:test/reporters';
import { readCommandLine } from './command-line.ts';
import { findMissing } from './system-programs.ts';

/**
 * Tests that run one by one, after the others: chaos and cli-loadtest-wrk measure the server under load, redis-faults times of Redis, and cloud-build-image
 * names a container as image-own does.
 */
const ALONE = ['chaos', 'cli-loadtest-wrk', 'cloud-build-image', 'redis-faults'];
/**
 * Tests that take longest, which start first, so that no CPU waits for the last one. The first builds the image, and the others of the
 * image come late enough to find it in Docker's cache.
 */
const LONGEST = ['image-contract', 'cloud-build', 'releases', 'image-own', 'image', 'image-running'];

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

const built = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' });
if (built.status !== 0) process.exit(built.status ?? 1);
process.env.NODE_COMPILE_CACHE ??= join(process.cwd(), 'node_modules/.cache/compile');
const nameOf = (file: string): string => basename(file, '.system.ts');
const files = globSync('test/system/**/*.system.ts').filter((file) => !left.includes(nameOf(file)));
await test(
  files.filter((file) => !ALONE.includes(nameOf(file))),
  availableParallelism(),
);
await test(
  files.filter((file) => ALONE.includes(nameOf(file))),
  1,
);
if (left.length > 0)
  console.error(`left out for want of ${missing.map(({ name }) => name).join(', ')}: ${left.join(', ')}`);

/** Runs files, so many at a time, each in a process of its own. Ends this process if a test fails. */
async function test(some: readonly string[], concurrency: number): Promise<void> {
  if (some.length === 0) return;
  const rank = (file: string): number => LONGEST.indexOf(nameOf(file)) + 1 || LONGEST.length + 1;
  const ordered = some.toSorted().toSorted((a, b) => rank(a) - rank(b));
  const results = runTests({ files: ordered.map((file) => resolve(file)), concurrency });
  let failed = false;
  results.on('test:fail', () => {
    failed = true;
  });
  const report = results.compose(new spec());
  report.pipe(process.stdout);
  await once(report, 'end');
  if (failed) process.exit(1);
}
