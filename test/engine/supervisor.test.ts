import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { createPool, type Pool, type RestartReason } from '../../functions/engine/pool.ts';
import { RunError, type RunFault } from '../../functions/engine/process/engine-process.ts';
import { isAlive } from '../helpers/descendants.ts';
import { endless, identity, writeModel } from '../helpers/models.ts';
import { column, float32, joined } from '../helpers/tensors.ts';
import { until } from '../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'supervisor-'));
after(() => rmSync(folder, { recursive: true }));

interface TestPool extends Pool {
  readonly restarts: [reason: RestartReason, detail: string][];
}

/** A pool whose first engine is ready. */
async function startPool(
  t: TestContext,
  bytes: Uint8Array,
  { size = 1, runTimeoutMs = 60_000, loadTimeoutMs = 60_000 } = {},
): Promise<TestPool> {
  const path = join(writeModel(folder, t.name.slice(0, 80).replaceAll(/\W/g, '-'), bytes), 'model.onnx');
  const order = { path, intraOpThreads: 1, executionProviders: ['cpu'] };
  const restarts: [RestartReason, string][] = [];
  const onRestart = (reason: RestartReason, detail: string): void => void restarts.push([reason, detail]);
  const pool = createPool({ size, order, runTimeoutMs, loadTimeoutMs, onRestart });
  t.after(() => pool.close());
  await pool.start();
  return { ...pool, restarts };
}

const ends = (fault: RunFault) => (error: unknown) => error instanceof RunError && error.fault === fault;
const states = (pool: Pool): string[] => pool.engines().map(({ state }) => state);
const pidOf = (pool: Pool, slot: number): number => pool.engines()[slot]!.pid!;

/** No process can be started until the function is called that it returns. */
function refuseSpawns(t: TestContext, spawn: () => childProcess.ChildProcess): () => void {
  const mocked = t.mock.method(childProcess, 'spawn', spawn);
  syncBuiltinESMExports();
  return () => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  };
}

const { spawn } = childProcess;
const NO_SPAWN: [how: string, message: RegExp, () => childProcess.ChildProcess][] = [
  [
    'the fork fails with an exception, as for ENOMEM',
    /spawn ENOMEM/,
    () => {
      throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM', syscall: 'spawn' });
    },
  ],
  [
    'the program cannot be executed',
    /could not start: .*ENOENT/,
    () => spawn(join(folder, 'no-such-program'), [], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] }),
  ],
  [
    'no file descriptor is free',
    /could not start: spawn EMFILE/,
    () => {
      // As Node does it: neither pid nor stdio, and an event later.
      const child = Object.assign(new EventEmitter(), { exitCode: null, signalCode: null, kill: () => false });
      process.nextTick(() => child.emit('error', new Error('spawn EMFILE')));
      return child as unknown as childProcess.ChildProcess;
    },
  ],
];

for (const [how, message, spawnNothing] of NO_SPAWN) {
  test(`while ${how}, engines that work go on, and the others are started once it is possible`, async (t) => {
    const pool = await startPool(t, identity(), { size: 2 });
    pool.grow([]);
    await until(() => pool.free() === 2, 'both engines');
    const allowSpawns = refuseSpawns(t, spawnNothing);
    t.after(allowSpawns);
    process.kill(pidOf(pool, 1), 'SIGKILL');
    await until(() => pool.restarts.length >= 2, 'a replacement that did not start');
    const [crash, failed] = pool.restarts;
    assert.equal(crash![0], 'crash');
    assert.equal(failed![0], 'load_failed');
    assert.match(failed![1], message);
    assert.equal(pool.fault(), undefined);
    const [output] = await pool.run(joined(float32([1, 4], [1, 2, 3, 4])));
    assert.deepEqual(output!.data, Float32Array.of(1, 2, 3, 4));
    allowSpawns();
    await until(() => pool.free() === 2, 'the replacement');
  });
}

for (const [signal, detail] of [
  ['SIGSTOP', /the load took longer than 3000 ms/],
  ['SIGKILL', /killed by SIGKILL/],
] as const) {
  test(`an engine that gets ${signal} while it loads is replaced, and the others go on`, async (t) => {
    const pool = await startPool(t, identity(), { size: 2, loadTimeoutMs: 3000 });
    pool.grow([]);
    assert.deepEqual(states(pool), ['idle', 'starting']);
    const pid = pidOf(pool, 1);
    process.kill(pid, signal);
    const [output] = await pool.run(joined(float32([1, 4], [1, 2, 3, 4])));
    assert.deepEqual(output!.data, Float32Array.of(1, 2, 3, 4));
    await until(() => pool.free() === 2, 'the replacement');
    assert.equal(pool.restarts[0]![0], 'load_failed');
    assert.match(pool.restarts[0]![1], detail);
    assert.equal(isAlive(pid), false);
  });
}

test('an engine whose warm-up never ends is replaced after the timeout of runs, and the others go on', async (t) => {
  const pool = await startPool(t, endless(), { size: 2, runTimeoutMs: 200 });
  pool.grow([joined(column(1))]);
  const pid = pidOf(pool, 1);
  await until(() => pool.restarts.length > 0, 'the end of the warm-up');
  assert.deepEqual(pool.restarts[0], ['load_failed', 'the run took longer than 200 ms']);
  assert.deepEqual((await pool.run(joined(column(-1))))[0]!.data, Float32Array.of(-1));
  await until(() => !isAlive(pid), 'the end of its process');
});

for (const phase of ['idle', 'in a run'] as const) {
  test(`the run of an engine that is stopped while it is ${phase} fails as timed-out; the run of another goes on`, async (t) => {
    const pool = await startPool(t, endless(), { size: 2, runTimeoutMs: 2000 });
    pool.grow([]);
    await until(() => pool.free() === 2, 'both engines');
    const pid = pidOf(pool, 0);
    if (phase === 'idle') process.kill(pid, 'SIGSTOP');
    const run = pool.run(joined(column(phase === 'idle' ? -1 : 1)));
    if (phase === 'in a run') process.kill(pid, 'SIGSTOP');
    assert.deepEqual((await pool.run(joined(column(-2))))[0]!.data, Float32Array.of(-2));
    await assert.rejects(run, ends('timed-out'));
    await until(() => pool.free() === 2, 'the replacement');
    assert.deepEqual(pool.restarts, [['run_timeout', 'the run took longer than 2000 ms']]);
    assert.equal(isAlive(pid), false);
  });
}
