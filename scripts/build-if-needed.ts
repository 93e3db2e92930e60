import { spawnSync } from 'node:child_process';
import { globSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './process-tree.ts';

/** This repository. */
const ROOT = join(import.meta.dirname, '..');
/** With the folders: theirs is the time at which a file was removed or renamed. */
const SOURCES = ['functions/**', 'package-lock.json', 'scripts/{build,browser-assets,build-client,externals}.ts'];
/** A link to the number of the process that builds: made whole or not at all. */
const LOCK = 'node_modules/.build-lock';
const WAIT_MS = 50;

type Time = 'mtimeMs' | 'ctimeMs';

/**
 * Builds `dist/` where it is missing or older than its sources; several processes that ask at the same time build once. Ends the
 * process with the build's code where that fails.
 * @param time which time of a source counts. The time of its last change also sees a copy that kept an older time of modification,
 * but is that of the unpacking in a container, where the build need not be younger.
 */
export function buildIfNeeded(time: Time = 'mtimeMs', root = ROOT): void {
  if (isFresh(time, root)) return;
  const link = join(root, LOCK);
  while (!lock(link)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  try {
    if (isFresh(time, root)) return;
    const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.ts')], { stdio: ['ignore', 2, 2] });
    if (status !== 0) process.exit(status ?? 1);
  } finally {
    rmSync(link, { force: true });
  }
}

function isFresh(time: Time, root: string): boolean {
  const stat = (path: string) => statSync(join(root, path), { throwIfNoEntry: false });
  const built = stat('dist/server.js')?.mtimeMs ?? 0;
  return globSync(SOURCES, { cwd: root }).every((path) => (stat(path)?.[time] ?? 0) <= built);
}

/** Takes the lock, also from a process that ended without giving it back. */
function lock(link: string): boolean {
  try {
    symlinkSync(String(process.pid), link);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = holder(link);
  if (owner !== undefined && !isAlive(owner)) rmSync(link, { force: true });
  return false;
}

/** undefined where the lock is gone by now. */
function holder(link: string): number | undefined {
  try {
    return Number(readlinkSync(link));
  } catch {
    return undefined;
  }
}
