import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createCompiledModels, LEAST_COMPILED_BYTES } from '../../../functions/model/compiled/compiled-models.ts';
import { targetIn } from '../../../functions/model/compiled/entry.ts';
import { createCompiledFolder } from '../../../functions/model/compiled/folder.ts';
import { compileAt } from '../../helpers/compiled.ts';
import { layers } from '../../helpers/large-weights.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { until } from '../../helpers/until.ts';

const PROGRAM = fileURLToPath(new URL('../../helpers/compiling-process.ts', import.meta.url));
const DAY_MS = 24 * 3_600_000;
const nameOf = (entry: number): string => String(entry).padStart(32, '0');
const unused = (): boolean => false;

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-folder-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes the files of an entry. */
async function fill(at: string): Promise<void> {
  const { graph, data } = targetIn(at);
  for (const file of [graph, data, join(at, 'compiled.json')]) writeFileSync(file, 'content');
}

/** A folder with entries that were used so many days ago; the entry 0 first. */
function withEntries(t: TestContext, days: readonly number[]) {
  const root = temporary(t);
  for (const [entry, ago] of days.entries()) {
    const at = join(root, nameOf(entry));
    mkdirSync(at);
    void fill(at);
    const used = new Date(Date.now() - ago * DAY_MS);
    utimesSync(join(at, 'compiled.json'), used, used);
  }
  const folder = createCompiledFolder(root);
  t.after(() => folder.close());
  const entries = (): string[] => readdirSync(root).filter((name) => /^[0-9a-f]{32}$/.test(name));
  return { root, folder, entries };
}

test('an entry is complete when it has its name, and its work folder ends with the process', async (t) => {
  const { root, folder, entries } = withEntries(t, []);
  await folder.make(nameOf(7), 100, unused, async (at) => {
    await fill(at);
    assert.deepEqual(entries(), []);
  });
  assert.deepEqual(entries(), [nameOf(7)]);
  folder.close();
  assert.deepEqual(readdirSync(root), [nameOf(7)]);
});

test('of sixteen entries the one that was used least recently makes room for another, unless it is in use', async (t) => {
  const days = Array.from({ length: 16 }, (_, i) => (i === 4 ? 20 : i === 9 ? 19 : 1));
  const { folder, entries } = withEntries(t, days);
  await folder.make(nameOf(99), 100, (name) => name === nameOf(4), fill);
  assert.equal(entries().length, 16);
  assert.deepEqual(
    [4, 9, 99].map((entry) => entries().includes(nameOf(entry))),
    [true, false, true],
  );
});

test('entries without a use for a month are removed when another one is made', async (t) => {
  const { folder, entries } = withEntries(t, [29, 31, 400]);
  await folder.make(nameOf(99), 100, unused, fill);
  assert.deepEqual(entries(), [nameOf(0), nameOf(99)]);
});

test('an entry that fits on no disk is not made, and removes no other', async (t) => {
  const { folder, entries } = withEntries(t, [1]);
  await assert.rejects(
    folder.make(nameOf(99), 2 ** 60, unused, fill),
    /it may take \d+ bytes, and .* has room for \d+/,
  );
  assert.deepEqual(entries(), [nameOf(0)]);
});

test('nothing is left of an entry that was not completed', async (t) => {
  const { root, folder } = withEntries(t, []);
  const failing = folder.make(nameOf(1), 100, unused, async (at) => {
    writeFileSync(join(at, 'weights.data'), 'half');
    throw new Error('no space left');
  });
  await assert.rejects(failing, /no space left/);
  assert.deepEqual(
    readdirSync(root).flatMap((name) => readdirSync(join(root, name))),
    ['alive'],
  );
  folder.close();
  assert.deepEqual(readdirSync(root), []);
});

test('a disk that fills while a model is written leaves nothing, and the reason is reported', (t) => {
  const root = temporary(t);
  const [path, folder] = [join(root, 'model.onnx'), join(root, 'compiled')];
  writeFileSync(path, layers());
  // A file may have so many blocks of 512 bytes, or 1024: the weights have more.
  const script = 'ulimit -f 400; exec "$0" "$@"';
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script, process.execPath, PROGRAM, path, folder], {
    encoding: 'utf8',
  });
  assert.match(stdout, /Failed to write external initializers to file/, stderr);
  assert.deepEqual(readdirSync(folder), []);
});

test('a process that is killed while it compiles leaves nothing that is used, and the next one removes the rest', async (t) => {
  const root = temporary(t);
  const [path, folder] = [join(root, 'model.onnx'), join(root, 'compiled')];
  writeFileSync(path, layers());
  const child = spawn(process.execPath, [PROGRAM, path, folder, 'stop'], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  assert.match(line, /compiling/);
  const [left] = readdirSync(folder);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.ok(existsSync(join(folder, left!)));

  const models = createCompiledModels({
    always: true,
    folder,
    filesAreMemory: false,
    logger: recordTelemetry().logger,
  });
  t.after(() => models.close());
  const open = async () =>
    (await models.open({ name: 'net', bytes: LEAST_COMPILED_BYTES, paths: [path], fetched: undefined }))!;
  const found = await open();
  assert.equal(found.files, undefined);
  await compileAt(path, found);
  assert.notEqual((await open()).files, undefined);
  await until(() => !existsSync(join(folder, left!)), 'the removal of what was left');
});

test('a folder whose files take memory is not used', async (t) => {
  const root = mkdtempSync('/dev/shm/compiled-folder-');
  t.after(() => rmSync(root, { recursive: true }));
  await assert.rejects(createCompiledFolder(root).make(nameOf(1), 1, unused, fill), {
    name: 'Error',
    message: `files in ${root} take memory`,
  });
  assert.deepEqual(readdirSync(root), []);
});

test('without a set folder one of this user alone is used, and none to which others can write', async (t) => {
  const root = temporary(t);
  const before = process.env.TMPDIR;
  process.env.TMPDIR = root;
  t.after(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  const folder = createCompiledFolder(undefined);
  t.after(() => folder.close());
  const made = await folder.make(nameOf(1), 1, unused, fill);
  assert.ok(made.startsWith(join(root, 'compiled-onnx-models-')));
  chmodSync(join(made, '..'), 0o777);
  const other = createCompiledFolder(undefined);
  await assert.rejects(other.make(nameOf(2), 1, unused, fill), {
    name: 'NoFolderError',
    message: /others can write to/,
  });
});
