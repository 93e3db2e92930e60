/**
 * `npm run unit`: runs all test files that need no program of the system, one at a time on each CPU. Arguments after `--` are passed to
 * `node --test`.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { enableCompileCache } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { spawnEngine } from '../functions/engine/process/spawn.ts';
import { startFetchingProcess } from '../functions/model/fetch/fetcher.ts';
import { buildIfNeeded } from './build-if-needed.ts';
import { printHelp } from './command-line.ts';

const ROOT = join(import.meta.dirname, '..');

printHelp(`npm run unit: runs all tests that need no program of the system: test/**/*.test.ts.

Usage: npm run unit [-- OPTIONS OF node --test]

Examples:
  npm run unit
  npm run unit -- --test-name-pattern=batch
  node --test test/engine/pool.test.ts           one file`);
buildIfNeeded('ctimeMs');
// Each file runs in its own process, and most of them load the same modules.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, 'node_modules/.cache/compile');
enableCompileCache(process.env.NODE_COMPILE_CACHE);
// A process writes its compiled code when it ends, and the child processes of tests are killed: these end.
const engine = spawnEngine();
const fetcher = startFetchingProcess();
engine.stdio[3]?.destroy();
fetcher.disconnect();
await Promise.all([once(engine, 'exit'), once(fetcher, 'exit')]);
const args = ['--test', `--test-concurrency=${availableParallelism()}`, ...process.argv.slice(2), 'test/**/*.test.ts'];
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
process.exitCode = status ?? 1;
