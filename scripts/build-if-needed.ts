import { spawnSync } from 'node:child_process';
import { globSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './process-tree.ts';

const ROOT = join(import.meta.dirname, '..');
/** With the folders: theirs is the time at which a file was removed or renamed. */
const SOURCES = ['functions/**', 'package-lock.json', 'scripts/{build,browser-assets,build-client,externals}.ts'];
/** A link to the number of the process that builds: made whole or not at all. */
const LOCK = join(ROOT, 'node_modules/.build-lock');
const WAIT_MS = 50;

/**
 * Builds `dist/` where it is missing or older than its sources; several processes that ask at the same time build once. Ends the
 * process with the build's code where that fails.
 * @param time which time of a source counts. The time of its last change also sees a copy that kept an older time of modification,
 * but is that of the unpacking in a container, where the build need not be younger.
 */
export function buildIfNeeded(time: 'mtimeMs' | 'ctimeMs' = 'mtimeMs'): void {
  if (isFresh(time)) return;
  while (!lock()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  try {
    if (isFresh(time)) return;
    const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts/build.ts')], { stdio: ['ignore', 2, 2] });
    if (status !== 0) process.exit(status ?? 1);
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function isFresh(time: 'mtimeMs' | 'ctimeMs'): boolean {
  const stat = (path: string) => statSync(join(ROOT, path), { throwIfNoEntry: false });
  const built = stat('dist/server.js')?.mtimeMs ?? 0;
  return globSync(SOURCES, { cwd: ROOT }).every((path) => (stat(path)?.[time] ?? 0) <= built);
}

/** Takes the lock, also from a process that ended without giving it back. */
function lock(): boolean {
  try {
    symlinkSync(String(process.pid), LOCK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = holder();
  if (owner !== undefined && !isAlive(owner)) rmSync(LOCK, { force: true });
  return false;
}

/** undefined where the lock is gone by now. */
function holder(): number | undefined {
  try {
    return Number(readlinkSync(LOCK));
  } catch {
    return undefined;
  }
}
