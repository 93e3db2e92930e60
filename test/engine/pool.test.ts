import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { createPool, type Pool, type RestartReason } from '../../functions/engine/pool.ts';
import { RunError, type RunFault } from '../../functions/engine/process/engine-process.ts';
import { restartDelayMs } from '../../functions/engine/supervisor.ts';
import { isAlive } from '../helpers/descendants.ts';
import { endless, identity, poisonable, slow, unknownOperator, writeModel } from '../helpers/models.ts';
import { column, float32, joined } from '../helpers/tensors.ts';
import { until } from '../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'pool-'));
after(() => rmSync(folder, { recursive: true }));

interface Restart {
  readonly reason: RestartReason;
  readonly detail: string;
  readonly delayMs: number;
}

interface TestPool extends Pool {
  readonly path: string;
  readonly restarts: Restart[];
}

function makePool(t: TestContext, name: string, bytes: Uint8Array, { size = 1, runTimeoutMs = 20_000 } = {}): TestPool {
  const path = join(writeModel(folder, name, bytes), 'model.onnx');
  const restarts: Restart[] = [];
  const pool = createPool({
    size,
    order: { path, intraOpThreads: 1, executionProviders: ['cpu'] },
    runTimeoutMs,
    onRestart: (reason, detail, delayMs) => restarts.push({ reason, detail, delayMs }),
  });
  t.after(() => pool.close());
  return { ...pool, path, restarts };
}

const ends = (fault: RunFault) => (error: unknown) => error instanceof RunError && error.fault === fault;
const states = (pool: Pool): string[] => pool.engines().map(({ state }) => state);
const pidOf = (pool: Pool, slot: number): number => pool.engines()[slot]!.pid!;

test('with a memory limit, the largest run and the size of its engine bound the next runs', async (t) => {
  const path = join(writeModel(folder, 'bounded', identity('float32', ['N', 2 ** 20])), 'model.onnx');
  const order = { path, intraOpThreads: 1, executionProviders: ['cpu'] };
  const pool = createPool({ size: 1, order, runTimeoutMs: 20_000, memoryLimit: () => 2 ** 20 });
  t.after(() => pool.close());
  assert.equal(pool.mostRunBytes(), Number.POSITIVE_INFINITY);
  await pool.start();
  assert.equal(pool.mostRunBytes(), 0);
  await pool.run(joined({ dtype: 'float32', dims: [1, 2 ** 20], data: new Float32Array(2 ** 20) }));
  assert.ok(pool.mostRunBytes() < 2 ** 22, 'an engine has more than the limit when it is idle');
});

test('a pool is ready with its first engine, and starts the others after it', async (t) => {
  const pool = makePool(t, 'two', identity(), { size: 2 });
  assert.equal(pool.free(), 0);
  const { signature } = await pool.start();
  assert.equal(signature.inputs[0]!.name, 'x');
  assert.deepEqual([pool.free(), states(pool)], [1, ['idle', 'closed']]);
  let freed = 0;
  pool.onFree(() => freed++);
  pool.grow([]);
  assert.deepEqual(states(pool), ['idle', 'starting']);
  await until(() => pool.free() === 2, 'both engines are free');
  assert.equal(freed, 1);

  const runs = [1, 2].map((value) => pool.run(joined(float32([1, 4], [value, 0, 0, 0]))));
  assert.deepEqual([pool.free(), states(pool)], [0, ['busy', 'busy']]);
  await assert.rejects(pool.run(joined(float32([1, 4], [3, 0, 0, 0]))), /no engine is free/);
  const outputs = await Promise.all(runs);
  assert.deepEqual(
    outputs.map(([output]) => output!.data[0]),
    [1, 2],
  );
  assert.deepEqual([pool.free(), freed], [2, 3]);
});

test('a run uses the lowest free engine', async (t) => {
  const pool = makePool(t, 'lowest', identity(), { size: 2 });
  await pool.start();
  pool.grow([]);
  await until(() => pool.free() === 2, 'both engines are free');
  const run = pool.run(joined(float32([1, 4], [1, 2, 3, 4])));
  assert.deepEqual(states(pool), ['busy', 'idle']);
  await run;
});

test('a model that does not load fails the start with the reason', async (t) => {
  await assert.rejects(makePool(t, 'unknown', unknownOperator()).start(), /NoSuchOperator/);
});

test('a run that fails frees its engine', async (t) => {
  const pool = makePool(t, 'poison', poisonable());
  await pool.start();
  await assert.rejects(pool.run(joined(column(-1))), ends('failed'));
  assert.equal(pool.free(), 1);
  assert.deepEqual(pool.restarts, []);
});

test('an engine that is killed is replaced at once, idle or in a run', async (t) => {
  const pool = makePool(t, 'killed', endless());
  await pool.start();
  const first = pidOf(pool, 0);
  process.kill(first, 'SIGKILL');
  await until(() => pool.restarts.length === 1 && pool.free() === 1, 'the idle engine is replaced');
  const second = pidOf(pool, 0);
  assert.notEqual(second, first);

  await pool.run(joined(column(0)));
  const run = pool.run(joined(column(1)));
  process.kill(second, 'SIGKILL');
  await assert.rejects(run, ends('crashed'));
  await until(() => pool.restarts.length === 2 && pool.free() === 1, 'the busy engine is replaced');
  assert.deepEqual((await pool.run(joined(column(-5))))[0]!.data, Float32Array.of(-5));
  const crash = { reason: 'crash', detail: 'killed by SIGKILL', delayMs: 0 };
  assert.deepEqual(pool.restarts, [crash, crash]);
});

test('a run beyond its timeout costs its engine, which is replaced at once', async (t) => {
  const pool = makePool(t, 'too-long', endless(), { runTimeoutMs: 100 });
  await pool.start();
  const pid = pidOf(pool, 0);
  await assert.rejects(pool.run(joined(column(1))), ends('timed-out'));
  await until(() => pool.free() === 1, 'the engine is replaced');
  assert.equal(isAlive(pid), false);
  await assert.rejects(pool.run(joined(column(1))), ends('timed-out'));
  assert.equal(pool.fault(), undefined, 'runs that take too long are no crash loop');
  const restart = { reason: 'run_timeout', detail: 'the run took longer than 100 ms', delayMs: 0 };
  assert.deepEqual(pool.restarts, [restart, restart]);
});

test('restarts in a row wait twice as long each time, up to 30 s; the first does not wait', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 8, 9, 50, 2000].map(restartDelayMs),
    [0, 0, 250, 500, 1000, 16_000, 30_000, 30_000, 30_000],
  );
});

test('a crash loop is a fault with its reason and the time of the next try, until an engine works again', async (t) => {
  const pool = makePool(t, 'loop', identity());
  await pool.start();
  const faults: boolean[] = [];
  pool.onFault(() => faults.push(pool.fault()!.persists));
  renameSync(pool.path, `${pool.path}.away`);
  process.kill(pidOf(pool, 0), 'SIGKILL');
  await until(() => pool.restarts.length === 1, 'the first crash is seen');
  assert.equal(pool.fault(), undefined, 'one crash is no loop');
  assert.deepEqual(faults, []);
  await until(() => pool.restarts.length === 2, 'the replacement does not load');
  const { reason, retryInMs } = pool.fault()!;
  assert.deepEqual(faults, [true], 'no engine loads: queued rows would not run');
  assert.match(reason, /model\.onnx/);
  assert.ok(retryInMs > 0 && retryInMs <= 250, `${retryInMs}`);
  assert.deepEqual(states(pool), ['waiting']);
  await assert.rejects(pool.run(joined(float32([1, 4], [1, 2, 3, 4]))), /no engine is free/);
  assert.deepEqual(
    pool.restarts.map(({ reason, delayMs }) => [reason, delayMs]),
    [
      ['crash', 0],
      ['load_failed', 250],
    ],
  );

  renameSync(`${pool.path}.away`, pool.path);
  await until(() => pool.free() === 1, 'an engine works again');
  assert.equal(pool.fault(), undefined);
  await pool.run(joined(float32([1, 4], [1, 2, 3, 4])));
  process.kill(pidOf(pool, 0), 'SIGKILL');
  await until(() => pool.restarts.length === 3, 'the next crash is seen');
  assert.equal(pool.restarts[2]!.delayMs, 0, 'a finished run ends the row');
});

test('a fault persists from the fifth engine on that ends during a run: so three rows in a row that end theirs do not cost the others', async (t) => {
  const pool = makePool(t, 'ends-in-runs', endless());
  const faults: [restarts: number, persists: boolean][] = [];
  pool.onFault(() => faults.push([pool.restarts.length, pool.fault()!.persists]));
  await pool.start();
  for (let ends = 1; ends <= 5; ends++) {
    await until(() => pool.free() === 1, 'an engine');
    const run = assert.rejects(pool.run(joined(column(1))));
    process.kill(pidOf(pool, 0), 'SIGKILL');
    await run;
    await until(() => pool.restarts.length === ends, 'its end is seen');
  }
  assert.deepEqual(faults, [
    [2, false],
    [3, false],
    [4, false],
    [5, true],
  ]);
});

test('engines that start late do the warm-up before they are free', async (t) => {
  const pool = makePool(t, 'warm', poisonable(), { size: 2 });
  await pool.start();
  pool.grow([joined(column(1)), joined(column(-1))]);
  await until(() => pool.restarts.length === 1, 'the late engine ran the warm-up');
  assert.equal(pool.restarts[0]!.reason, 'load_failed');
  assert.match(pool.restarts[0]!.detail, /Gather/);
  assert.equal(pool.free(), 1, 'the first engine is not asked to');
  assert.equal(pool.fault(), undefined, 'one engine works');
});

for (const startsFirst of [true, false]) {
  test(`an engine is recycled after its run, and no run is lost, with its replacement started ${startsFirst ? 'before' : 'after'} its end`, async (t) => {
    const pool = makePool(t, `recycle-${startsFirst}`, slow());
    await pool.start();
    pool.grow([joined(column(0))]);
    const old = pidOf(pool, 0);
    const values: unknown[] = [];
    let queued = 20;
    const runNext = (): void => {
      if (queued === 0 || pool.free() === 0) return;
      queued--;
      const value = queued;
      void pool.run(joined(column(value))).then(([output]) => values.push([value, output!.data[0]]));
    };
    pool.onFree(runNext);
    runNext();
    assert.deepEqual(states(pool), ['busy']);
    await pool.recycle(0, 'it has grown', startsFirst);
    await until(() => values.length === 20, 'all runs');
    assert.deepEqual(values.toSorted(), Array.from({ length: 20 }, (_, value) => [value, value]).toSorted());
    assert.deepEqual(pool.restarts, [{ reason: 'memory', detail: 'it has grown', delayMs: 0 }]);
    await until(() => !isAlive(old), 'the end of the old engine');
    assert.notEqual(pidOf(pool, 0), old);
    assert.equal(pool.fault(), undefined);
  });
}

test('an engine whose replacement does not load stays, and a pool that is closed meanwhile leaves no process', async (t) => {
  const pool = makePool(t, 'recycle-fails', identity());
  await pool.start();
  const old = pidOf(pool, 0);
  renameSync(pool.path, `${pool.path}.away`);
  await assert.rejects(pool.recycle(0, 'it has grown', true), ends('failed'));
  assert.deepEqual([pidOf(pool, 0), states(pool), pool.restarts], [old, ['idle'], []]);
  renameSync(`${pool.path}.away`, pool.path);
  const recycled = assert.rejects(pool.recycle(0, 'it has grown', true), ends('crashed'));
  await pool.close();
  await recycled;
  assert.equal(isAlive(old), false);
});

test('an engine that ends while its replacement loads is replaced once', async (t) => {
  const pool = makePool(t, 'recycle-crash', identity());
  await pool.start();
  const recycled = pool.recycle(0, 'it has grown', true);
  process.kill(pidOf(pool, 0), 'SIGKILL');
  await recycled;
  await until(() => pool.free() === 1, 'the replacement');
  assert.deepEqual(
    pool.restarts.map(({ reason }) => reason),
    ['crash'],
  );
});

test('a closed pool leaves no process, whether idle, in a run or starting', async (t) => {
  const pool = makePool(t, 'close', endless(), { size: 3 });
  await pool.start();
  pool.grow([]);
  await until(() => pool.free() === 3, 'all engines are free');
  const run = assert.rejects(pool.run(joined(column(1))), ends('crashed'));
  process.kill(pidOf(pool, 2), 'SIGKILL');
  await until(() => states(pool)[2] === 'starting', 'one engine is being replaced');
  const pids = pool.engines().map(({ pid }) => pid!);
  assert.equal(new Set(pids).size, 3);
  await pool.close();
  assert.deepEqual(pids.map(isAlive), [false, false, false]);
  await run;
  assert.deepEqual(states(pool), ['closed', 'closed', 'closed']);
  assert.deepEqual([pool.free(), pool.restarts.length], [0, 1]);
});
