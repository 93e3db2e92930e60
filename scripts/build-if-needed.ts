import { spawnSync } from 'node:child_process';
import { globSync, lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive } from './process-tree.ts';

/** This repository. */
const ROOT = join(import.meta.dirname, '..');
/** Includes folders: their time is that of the last removal or renaming of a file. */
const SOURCES = [
  'functions/**',
  'package-lock.json',
  'scripts/{build,browser-assets,code-cache,command-line,externals,node-flags,project-template,smoke-test,compile-models}.ts',
  'scripts/cloud-build/*.sh',
  'scripts/sbom/*.ts',
];
/** A symbolic link whose target is the id of the process that builds: it is created atomically. */
const LOCK = 'node_modules/.build-lock';
const WAIT_MS = 50;
/** Waits: a build takes less. */
const REPORT_AFTER = 400;
/** A link that is older than any build was left by a process that was killed, and its id may be that of another process by now. */
const STALE_MS = 120_000;

type Time = 'mtimeMs' | 'ctimeMs';

/**
 * Builds `dist/` if it is missing or older than its sources; several processes that call this at the same time build once. Ends the
 * process with the build's exit code if the build fails.
 * @param time which time of a source counts. `ctimeMs` detects a copy that kept an older `mtimeMs`, but in a container it is the time
 * of unpacking, which may be later than that of the build.
 */
export function buildIfNeeded(time: Time = 'mtimeMs', root = ROOT): void {
  if (isFresh(time, root)) return;
  const link = join(root, LOCK);
  for (let waits = 0; !lock(link); waits++) {
    if (waits === REPORT_AFTER) process.stderr.write(`waiting for the build of process ${holder(link)} (${link})\n`);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAIT_MS);
  }
  try {
    if (isFresh(time, root)) return;
    process.stderr.write('building dist/, because its sources have changed\n');
    const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.ts')], { stdio: ['ignore', 2, 2] });
    if (status !== 0) process.exit(status ?? 1);
  } finally {
    if (holder(link) === process.pid) rmSync(link, { force: true });
  }
}

function isFresh(time: Time, root: string): boolean {
  const stat = (path: string) => statSync(join(root, path), { throwIfNoEntry: false });
  const built = stat('dist/server.js')?.mtimeMs ?? 0;
  return globSync(SOURCES, { cwd: root }).every((path) => (stat(path)?.[time] ?? 0) <= built);
}

/** Takes the lock, also from a process that ended without releasing it. @returns whether it was taken. */
function lock(link: string): boolean {
  try {
    symlinkSync(String(process.pid), link);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = holder(link);
  if (owner !== undefined && (!isAlive(owner) || isStale(link))) rmSync(link, { force: true });
  return false;
}

function isStale(link: string): boolean {
  const { mtimeMs } = lstatSync(link, { throwIfNoEntry: false }) ?? {};
  return mtimeMs !== undefined && Date.now() - mtimeMs > STALE_MS;
}

/** The id of the process that has the lock; undefined if it has been released. */
function holder(link: string): number | undefined {
  try {
    return Number(readlinkSync(link));
  } catch {
    return undefined;
  }
}
