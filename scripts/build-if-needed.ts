import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const SOURCES = ['functions/**/*.{ts,css,html}', 'package-lock.json', 'scripts/{build,browser-assets}.ts'];

/** Builds `dist/` where it is missing or older than its sources. Ends the process with the build's code where that fails. */
export function buildIfNeeded(): void {
  const newest = Math.max(...globSync(SOURCES, { cwd: ROOT }).map(modified));
  if (modified('dist/server.js') >= newest) return;
  const { status } = spawnSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function modified(path: string): number {
  return statSync(join(ROOT, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
