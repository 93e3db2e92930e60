/** `npm start`: builds where the build is missing or older than its sources, then serves. */
import { spawnSync } from 'node:child_process';
import { globSync, statSync } from 'node:fs';

const newest = Math.max(...globSync(['functions/**/*.ts', 'package-lock.json', 'scripts/build.ts']).map(modified));
if (modified('dist/server.js') < newest) {
  const { status } = spawnSync(process.execPath, ['scripts/build.ts'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
// By a name TypeScript does not look up: the file is there only after a build.
const server = '../dist/server.js';
await import(server);

function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
