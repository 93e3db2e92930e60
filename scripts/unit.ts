/**
 * `npm run unit`: all test files that need no program of the system, as many at a time as there are CPUs. What follows `--` goes to
 * `node --test`.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { buildIfNeeded } from './build-if-needed.ts';

const ROOT = join(import.meta.dirname, '..');

buildIfNeeded('ctimeMs');
const args = ['--test', `--test-concurrency=${availableParallelism()}`, ...process.argv.slice(2), 'test/**/*.test.ts'];
// Each file is a process of its own, and most of what they load is the same.
const env = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compile'), ...process.env };
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' });
process.exitCode = status ?? 1;
