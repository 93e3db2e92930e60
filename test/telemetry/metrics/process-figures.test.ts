import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { monitorEventLoopDelay } from 'node:perf_hooks';
import { type TestContext, test } from 'node:test';
import { readProcess, watchEventLoop } from '../../../functions/telemetry/metrics/process-figures.ts';

/** A folder like /proc, with one process. */
function makeProc(t: TestContext, pid: number, stat: string, status: string): string {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  t.after(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, String(pid)));
  writeFileSync(join(proc, String(pid), 'stat'), stat);
  writeFileSync(join(proc, String(pid), 'status'), status);
  return proc;
}

test('CPU time is user and system time, and memory what is resident, whatever the process is called', (t) => {
  const stat = '42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 150 25 7 8 20 0 11 0 100 2000 300';
  const proc = makeProc(t, 42, stat, 'Name:\ta) b (c\nVmPeak:\t  999 kB\nVmRSS:\t   2048 kB\n');
  assert.deepEqual(readProcess(42, proc), { cpuSeconds: 1.75, residentBytes: 2048 * 1024 });
});

test('a process without memory, as one that has ended and is not waited for, has no figures', (t) => {
  const stat = '42 (node) Z 1 42 42 0 -1 4194304 100 0 0 0 150 25 7 8 20 0 11 0 100 2000 300';
  assert.equal(readProcess(42, makeProc(t, 42, stat, 'Name:\tnode\n')), undefined);
});

test('this process has figures, and one that has ended has none', async () => {
  assert.ok(readProcess(process.pid)!.residentBytes > 2 ** 20);
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
  await once(child, 'exit');
  assert.equal(readProcess(child.pid!), undefined);
});

/** A histogram of delays whose values the test gives, in milliseconds. */
function fakeMonitor() {
  const delays = { ms: 0, on: false };
  const histogram = {
    enable: () => (delays.on = true),
    disable: () => (delays.on = false),
    reset() {
      delays.ms = 0;
    },
    get max() {
      return delays.ms * 1e6;
    },
    percentile: (percent: number) => (delays.ms * 1e6 * percent) / 100,
  };
  const monitor = (() =>
    histogram as unknown as ReturnType<typeof monitorEventLoopDelay>) as typeof monitorEventLoopDelay;
  return { delays, monitor };
}

test('the delays are in seconds, without the 20 ms of the timer, and 0 before the first', () => {
  const { delays, monitor } = fakeMonitor();
  const loop = watchEventLoop(monitor);
  assert.deepEqual(loop.read(), { p50: 0, p90: 0, p99: 0, max: 0 });
  delays.ms = 1000;
  const rounded = Object.entries(loop.read()).map(([name, seconds]) => [name, seconds.toFixed(3)]);
  assert.deepEqual(Object.fromEntries(rounded), { p50: '0.480', p90: '0.880', p99: '0.970', max: '0.980' });
  loop.stop();
  assert.equal(delays.on, false);
});

test('a window lasts 15 s at least: a second reader within it gets the same values', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const { delays, monitor } = fakeMonitor();
  const loop = watchEventLoop(monitor);
  delays.ms = 220;
  now = 14_999;
  assert.equal(loop.read().max, 0.2);
  now = 15_000;
  assert.equal(loop.read().max, 0.2, 'the window ends with this reader');
  assert.equal(loop.read().max, 0);
});

test('the event loop of this process has delays', async () => {
  const loop = watchEventLoop();
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => (loop.read().max > 0 ? resolve() : void setTimeout(look, 20));
  look();
  await promise;
  loop.stop();
});
