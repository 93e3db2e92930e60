import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { buildIfNeeded } from '../../scripts/build-if-needed.ts';

const MODULE = join(import.meta.dirname, '../../scripts/build-if-needed.ts');
/** As the real one dates its build, and notes that it ran. */
const BUILD = `
  const { appendFileSync, mkdirSync, utimesSync, writeFileSync } = require('node:fs');
  const started = new Date();
  process.chdir(require('node:path').join(__dirname, '..'));
  appendFileSync('builds', 'x');
  mkdirSync('dist', { recursive: true });
  writeFileSync('dist/server.js', '');
  utimesSync('dist/server.js', started, started);
`;

/** A repository of two sources, and how often it was built. */
function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'build-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const folder of ['functions', 'scripts', 'node_modules']) mkdirSync(join(root, folder));
  const file = (name: string): string => join(root, 'functions', name);
  for (const name of ['a.ts', 'b.ts']) writeFileSync(file(name), '');
  writeFileSync(join(root, 'scripts/build.ts'), BUILD);
  writeFileSync(join(root, 'builds'), '');
  return { root, file, builds: () => readFileSync(join(root, 'builds'), 'utf8').length };
}

/** Returns once the kernel's clock of files, which lags behind `Date` by some milliseconds, is past the date of the build. */
function passBuild(root: string): void {
  const built = statSync(join(root, 'dist/server.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  do writeFileSync(join(root, 'probe'), '');
  while (statSync(join(root, 'probe')).ctimeMs <= built);
}

test('processes that ask at the same time build once', async (t) => {
  const { root, builds } = setUp(t);
  const code = `import(${JSON.stringify(MODULE)}).then((it) => it.buildIfNeeded('ctimeMs', ${JSON.stringify(root)}))`;
  const asking = Array.from({ length: 3 }, () => once(spawn(process.execPath, ['-e', code]), 'exit'));
  assert.deepEqual(await Promise.all(asking), new Array(3).fill([0, null]));
  assert.equal(builds(), 1);
});

test('it builds after an edit, after a removal, and after a copy that kept an older time', (t) => {
  const { root, file, builds } = setUp(t);
  const edits = [
    () => {},
    () => writeFileSync(file('a.ts'), '1'),
    () => rmSync(file('b.ts')),
    () => utimesSync(file('a.ts'), 1, 1),
  ];
  for (const [i, edit] of edits.entries()) {
    passBuild(root);
    edit();
    for (let again = 0; again < 2; again++) buildIfNeeded('ctimeMs', root);
    assert.equal(builds(), i + 1);
  }
});

test('files that were unpacked after the build, with their own times, are not built again unless asked', (t) => {
  const { root, file, builds } = setUp(t);
  buildIfNeeded('mtimeMs', root);
  passBuild(root);
  utimesSync(file('a.ts'), 1, 1);
  buildIfNeeded('mtimeMs', root);
  assert.equal(builds(), 1);
});

test('a lock is taken from a process that ended without giving it back', (t) => {
  const { root, builds } = setUp(t);
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  symlinkSync(String(pid), join(root, 'node_modules/.build-lock'));
  buildIfNeeded('ctimeMs', root);
  assert.equal(builds(), 1);
});

test('a lock that is older than any build is taken, although another process has the id of its owner by now', (t) => {
  const { root, builds } = setUp(t);
  const link = join(root, 'node_modules/.build-lock');
  symlinkSync(String(process.ppid), link);
  const minutesAgo = new Date(Date.now() - 10 * 60_000);
  lutimesSync(link, minutesAgo, minutesAgo);
  buildIfNeeded('ctimeMs', root);
  assert.equal(builds(), 1);
});
