import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readProcess, watchEventLoop } from '../../../functions/telemetry/metrics/process-figures.ts';

async function startChild(t: TestContext, script: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

test('a process’s memory and CPU time are those it has itself', async (t) => {
  const script = `
    const start = process.cpuUsage();
    while (process.cpuUsage(start).user < 300e3);
    const { user, system } = process.cpuUsage();
    process.send({ cpu: (user + system) / 1e6, memory: process.memoryUsage.rss() });
    process.on('message', () => {});`;
  const child = await startChild(t, script);
  const [own] = await once(child, 'message');
  const seen = readProcess(child.pid!);
  assert.ok(Math.abs(seen!.cpuSeconds - own.cpu) < 0.2, `${seen!.cpuSeconds} s against ${own.cpu} s`);
  assert.ok(Math.abs(seen!.residentBytes / own.memory - 1) < 0.25, `${seen!.residentBytes} against ${own.memory}`);
});

test('a process that has ended has no figures', async (t) => {
  const child = await startChild(t, '');
  await once(child, 'exit');
  assert.equal(readProcess(child.pid!), undefined);
});

test('a stalled event loop shows as its delay, and a quiet one as next to none', async (t) => {
  const loop = watchEventLoop();
  t.after(loop.stop);
  await delay(60);
  const end = performance.now() + 300;
  while (performance.now() < end);
  await delay(40);
  const { p50, max } = loop.read();
  assert.ok(max > 0.2 && max < 5, `max ${max}`);
  assert.ok(p50 < max / 2, `p50 ${p50}`);
});

test('without a value yet the delays are 0', (t) => {
  const loop = watchEventLoop();
  t.after(loop.stop);
  assert.deepEqual(loop.read(), { p50: 0, p90: 0, p99: 0, max: 0 });
});

test('a window lasts 15 s at least: a second reader within it takes nothing away', async (t) => {
  const now = t.mock.method(performance, 'now');
  const loop = watchEventLoop();
  t.after(loop.stop);
  const start = now.mock.calls.at(-1)!.result!;
  await delay(60);
  const end = Date.now() + 200;
  while (Date.now() < end);
  await delay(40);
  const first = loop.read();
  assert.deepEqual(loop.read().max, first.max);
  now.mock.mockImplementation(() => start + 15_001);
  assert.equal(loop.read().max, first.max);
  assert.equal(loop.read().max, 0);
});
