/**
 * `npm run docs`: builds README, docs/ and the examples into a site with search. What it needs has a package.json of its own, in docs/,
 * and is installed there if it is missing or old.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';

const DOCS = join(import.meta.dirname, '../docs');
const USAGE = `npm run docs: builds README, docs/ and the examples into a site with search, in docs/.vitepress/dist.

Usage: npm run docs [-- --serve]

  --serve   shows the site at http://localhost:5173, and follows changes of the pages

SITE_BASE=/path builds it for a place below the root of a server.`;

/** Runs a program in docs/, and ends this process with its exit code if it fails. */
function run(program: string, ...args: string[]): void {
  const { status } = spawnSync(program, args, { cwd: DOCS, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function isInstalled(): boolean {
  const time = (path: string): number => statSync(join(DOCS, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return time('node_modules/.package-lock.json') > Math.max(time('package-lock.json'), time('package.json'));
}

const { values } = readCommandLine(USAGE, { serve: { type: 'boolean' } });
if (!isInstalled()) run('npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund');
run(process.execPath, join(DOCS, 'node_modules/vitepress/bin/vitepress.js'), values.serve ? 'dev' : 'build');
