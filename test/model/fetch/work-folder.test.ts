import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeWorkFolder, removeAbandoned } from '../../../functions/model/fetch/work-folder.ts';

const SOURCE = fileURLToPath(new URL('../../../functions/model/fetch/work-folder.ts', import.meta.url));

function parentFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'work-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process with its own work folder, whose path it writes to stdout. */
async function holder(t: TestContext, parent: string, after = 'setInterval(() => {}, 1000)') {
  const code = `const { makeWorkFolder } = await import(${JSON.stringify(SOURCE)});
    console.log(makeWorkFolder(${JSON.stringify(parent)}).path); ${after}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  return { child, path: line.trim() };
}

test('only the owner can read a work folder, and it can be removed', (t) => {
  const parent = parentFolder(t);
  const work = makeWorkFolder(parent);
  assert.equal(statSync(work.path).mode & 0o777, 0o700);
  work.remove();
  assert.deepEqual(readdirSync(parent), []);
});

test('a work folder is removed when its process exits', async (t) => {
  const parent = parentFolder(t);
  const { child } = await holder(t, parent, 'setTimeout(() => process.exit(3), 1)');
  await once(child, 'exit');
  assert.deepEqual(readdirSync(parent), []);
});

test('the folder of a killed process is removed, that of a living one stays', async (t) => {
  const parent = parentFolder(t);
  const [dead, living] = await Promise.all([holder(t, parent), holder(t, parent)]);
  writeFileSync(join(dead.path, 'model.onnx'), 'bytes');
  dead.child.kill('SIGKILL');
  await once(dead.child, 'exit');
  await removeAbandoned(parent, '');
  assert.equal(existsSync(dead.path), false);
  assert.equal(existsSync(living.path), true);
});

test('a folder without a socket is removed only when it is old; other folders stay', async (t) => {
  const parent = parentFolder(t);
  const [fresh, old, foreign] = ['onnx-cloud-run-fresh', 'onnx-cloud-run-old', 'something-else'].map((name) =>
    join(parent, name),
  );
  for (const folder of [fresh!, old!, foreign!]) mkdirSync(folder);
  for (const folder of [old!, foreign!]) utimesSync(folder, 1, 1);
  await removeAbandoned(parent, '');
  assert.deepEqual(readdirSync(parent).sort(), ['onnx-cloud-run-fresh', 'something-else']);
});
