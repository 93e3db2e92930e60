import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../../../functions/telemetry/log/logger.ts';

interface Report {
  logged: number;
  dropped: number;
}

type Action = 'log' | 'burst' | 'flush' | 'exit' | 'crash' | 'end';

const TEN_MEGABYTES = 10_000;
const FLUSH_MS = 5000;
/** A stall lasts for ever: a child that stands still never reports, nor exits. */
const IN_TIME = { timeout: 60_000 };

async function startChild(
  t: TestContext,
  stdout: 'pipe' | number,
  args: string[] = [],
  env = process.env,
): Promise<ChildProcess> {
  const stdio: StdioOptions = ['ignore', stdout, 'ignore', 'ipc'];
  const child = spawn(process.execPath, [join(import.meta.dirname, 'logger-child.ts'), ...args], { stdio, env });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

async function ask(child: ChildProcess, action: Action, amount: number): Promise<Report> {
  child.send({ action, amount });
  const [report] = await once(child, 'message');
  return report;
}

/** Sends the child to its end and gives its exit code. */
async function endOf(child: ChildProcess, action: Action, amount: number): Promise<number | null> {
  const exited = once(child, 'exit');
  child.send({ action, amount });
  const [code] = await exited;
  return code;
}

/** The writing end of a named pipe whose reading end is open and never read. */
function openPipe(t: TestContext): number {
  const folder = mkdtempSync(join(tmpdir(), 'logger-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const reader = openSync(join(folder, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(join(folder, 'pipe'), constants.O_WRONLY);
  t.after(() => {
    closeSync(reader);
    closeSync(writer);
    rmSync(folder, { recursive: true });
  });
  return writer;
}

async function readAll(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

const parseLines = (text: string): { message: string; count: number; severity: string }[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const countUpTo = (end: number) => Array.from({ length: end }, (_, i) => i);

for (const kind of ['pipe', 'socket'] as const) {
  for (const end of ['exit', 'end'] as const) {
    test(`a ${kind} that nobody reads stops neither the event loop nor the process's ${end}`, IN_TIME, async (t) => {
      const child = await startChild(t, kind === 'pipe' ? openPipe(t) : 'pipe');
      // More than a pipe holds, before winston is loaded.
      await ask(child, 'burst', 1000);
      const report = await ask(child, 'log', TEN_MEGABYTES);
      assert.ok(report.dropped > 0.8 * TEN_MEGABYTES, `${report.dropped} lines were dropped`);
      assert.equal(await endOf(child, end, 10), 0);
    });
  }
}

test('a reader that returns gets complete lines in order and the number of those it missed', IN_TIME, async (t) => {
  const child = await startChild(t, 'pipe');
  const { dropped, logged } = await ask(child, 'log', 3000);
  assert.ok(dropped > 0);
  const text = readAll(child.stdout!);
  assert.equal((await ask(child, 'flush', FLUSH_MS)).dropped, dropped);
  await endOf(child, 'end', 1);
  const lines = parseLines(await text);
  const notices = lines.filter((line) => line.severity === 'WARNING');
  assert.deepEqual(
    notices.map((line) => line.count),
    [dropped],
  );
  const counts = lines.filter((line) => line.severity === 'INFO').map((line) => line.count);
  assert.deepEqual(counts, [...countUpTo(logged - dropped), logged]);
});

test(
  'a reader that keeps up gets every line of 10 MB in order, before winston is loaded and after',
  IN_TIME,
  async (t) => {
    const child = await startChild(t, 'pipe');
    const text = readAll(child.stdout!);
    for (let i = 0; i < 100; i++) {
      await ask(child, 'log', TEN_MEGABYTES / 100);
      await ask(child, 'flush', FLUSH_MS);
    }
    await endOf(child, 'end', 0);
    assert.deepEqual(
      parseLines(await text).map((line) => line.count),
      countUpTo(TEN_MEGABYTES),
    );
  },
);

for (const [end, code] of [
  ['exit', 0],
  ['end', 0],
  ['crash', 1],
] as const) {
  for (const before of [0, 500]) {
    test(`lines of the last turn before ${end} come out, ${before} lines after the start`, IN_TIME, async (t) => {
      const child = await startChild(t, 'pipe');
      const text = readAll(child.stdout!);
      await ask(child, 'log', before);
      assert.equal(await endOf(child, end, 300), code);
      assert.deepEqual(
        parseLines(await text).map((line) => line.count),
        countUpTo(before + 300),
      );
    });
  }
}

test('after a reader closes its end, lines are lost and the process continues', IN_TIME, async (t) => {
  const child = await startChild(t, 'pipe');
  child.stdout!.destroy();
  await once(child.stdout!, 'close');
  assert.equal((await ask(child, 'log', 1000)).logged, 1000);
  assert.ok((await ask(child, 'flush', FLUSH_MS)).dropped > 0);
  assert.equal(await endOf(child, 'end', 1), 0);
});

test('a file gets every line', IN_TIME, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'logger-'));
  const file = join(folder, 'log');
  const fd = openSync(file, 'w');
  t.after(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  const child = await startChild(t, fd);
  assert.equal((await ask(child, 'log', TEN_MEGABYTES)).dropped, 0);
  assert.equal((await ask(child, 'burst', TEN_MEGABYTES)).dropped, 0);
  await endOf(child, 'end', 1);
  assert.deepEqual(
    parseLines(readFileSync(file, 'utf8')).map((line) => line.count),
    countUpTo(2 * TEN_MEGABYTES + 1),
  );
});

test(
  'without credentials the cloud transport leaves its lines to stdout, with one warning, and the process lives',
  IN_TIME,
  async (t) => {
    const env = { ...process.env, GOOGLE_APPLICATION_CREDENTIALS: join(import.meta.dirname, 'no-such-file.json') };
    const child = await startChild(t, 'pipe', ['cloud'], env);
    const text = readAll(child.stdout!);
    await ask(child, 'log', 20);
    await ask(child, 'flush', 60_000);
    await ask(child, 'log', 20);
    assert.equal(await endOf(child, 'end', 1), 0);
    const lines = parseLines(await text);
    assert.deepEqual(
      lines.filter((line) => line.severity === 'INFO').map((line) => line.count),
      countUpTo(41),
    );
    assert.equal(lines.filter((line) => line.severity === 'WARNING').length, 1);
  },
);

test('a line below the level is not even made', () => {
  const logger = createLogger({ level: 'warn', transport: 'stdout' });
  const trace = () => assert.fail('called');
  logger.debug('no', { trace });
  logger.info('no', { trace });
  logger.request({ method: 'GET', path: '/', status: 200, seconds: 0, trace });
});
