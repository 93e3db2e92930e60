import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import {
  attachEngine,
  type Engine,
  RunError,
  type RunFault,
} from '../../../functions/engine/process/engine-process.ts';
import { stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import { spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { isAlive } from '../../helpers/descendants.ts';
import { endless, identity, poisonable, unknownOperator, writeModel } from '../../helpers/models.ts';
import { column, float32, joined } from '../../helpers/tensors.ts';
import { until } from '../../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'engine-'));
after(() => rmSync(folder, { recursive: true }));

const LONG_MS = 20_000;
const order = (path: string) => ({ path, intraOpThreads: 1, executionProviders: ['cpu'] });

function start(t: TestContext): Engine {
  const engine = attachEngine(spawnEngine());
  t.after(() => engine.kill());
  return engine;
}

async function load(t: TestContext, name: string, bytes: Uint8Array): Promise<Engine> {
  const engine = start(t);
  await engine.load(order(join(writeModel(folder, name, bytes), 'model.onnx')));
  return engine;
}

const ends = (fault: RunFault, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RunError, String(error));
  assert.equal(error.fault, fault);
  assert.match(error.message, message);
  return true;
};

test('an engine reports the signature of its model, and runs it', async (t) => {
  const engine = start(t);
  const loaded = await engine.load(order(join(writeModel(folder, 'identity', identity()), 'model.onnx')));
  assert.deepEqual(loaded, {
    signature: {
      inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 4], dimNames: ['N', null] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 4] }],
    },
    patched: [],
    external: [],
    weights: { use: 'copied', mappedBytes: 0, why: 'less than half of the file are tensors that can be mapped' },
  });
  const [output] = await engine.run(joined(float32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])), LONG_MS);
  assert.deepEqual(output!.dims, [2, 4]);
  assert.deepEqual(output!.data, Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
});

test('tensors of megabytes pass through an engine', async (t) => {
  const engine = await load(t, 'large', identity());
  const values = Array.from({ length: 1_000_000 }, (_, i) => i);
  const [output] = await engine.run(joined(float32([250_000, 4], values)), LONG_MS);
  assert.deepEqual(output!.data, Float32Array.from(values));
});

test("a run that fails gives onnxruntime's own text, and the engine runs the next", async (t) => {
  const engine = await load(t, 'poisonable', poisonable());
  await assert.rejects(engine.run(joined(column(1, -1)), LONG_MS), ends('failed', /Gather/));
  const [output] = await engine.run(joined(column(3)), LONG_MS);
  assert.deepEqual(output!.data, Float32Array.of(6));
});

test("a model that cannot be loaded is refused with onnxruntime's own text", async (t) => {
  await assert.rejects(load(t, 'unknown', unknownOperator()), ends('failed', /NoSuchOperator/));
  await assert.rejects(start(t).load(order(join(folder, 'nowhere.onnx'))), ends('failed', /nowhere\.onnx/));
});

test('a run whose engine is killed ends as crashed, with the signal', async (t) => {
  const engine = await load(t, 'endless', endless());
  const run = engine.run(joined(column(1)), LONG_MS);
  process.kill(engine.pid!, 'SIGKILL');
  await assert.rejects(run, ends('crashed', /killed by SIGKILL/));
  assert.equal(await engine.exited, 'killed by SIGKILL');
});

test('a process that ends by its own fault is distinguished from one that is killed from outside', async (t) => {
  for (const [signal, ofItself] of [
    ['SIGSEGV', true],
    ['SIGABRT', true],
    ['SIGKILL', false],
  ] as const) {
    const engine = await load(t, `dies-${signal}`, endless());
    const run = engine.run(joined(column(1)), LONG_MS);
    process.kill(engine.pid!, signal);
    await assert.rejects(run, { fault: 'crashed', ofItself, message: `the engine process ended: killed by ${signal}` });
  }
});

test('a run beyond its timeout is ended with its process', async (t) => {
  const engine = await load(t, 'too-long', endless());
  await assert.rejects(engine.run(joined(column(1)), 100), ends('timed-out', /longer than 100 ms/));
  assert.equal(await engine.exited, 'killed by SIGKILL');
  assert.equal(isAlive(engine.pid!), false);
});

test('an engine that has ended refuses runs at once, and leaves no timer', async (t) => {
  const engine = await load(t, 'gone', identity());
  engine.kill();
  await engine.exited;
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  await assert.rejects(engine.run(joined(float32([1, 4], [1, 2, 3, 4])), LONG_MS), ends('crashed', /SIGKILL/));
  assert.equal(timers(), before);
});

test('an engine whose socket is closed ends by itself', async (t) => {
  const engine = await load(t, 'closed', identity());
  engine.close();
  assert.equal(await engine.exited, 'exit code 0');
  await until(() => !isAlive(engine.pid!), 'the engine is gone');
});

test('a result with the id of another exchange ends its process: no run gets the outputs of another', async (t) => {
  // Answers every frame with a result without tensors, of number 7.
  const answer =
    'const b = Buffer.alloc(16); [16, 4, 7, 0].forEach((n, i) => b.writeUInt32LE(n, 4 * i)); fs.writeSync(3, b);';
  const script = `const fs = require('node:fs'); const got = Buffer.alloc(4096); while (fs.readSync(3, got)) { ${answer} }`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const engine = attachEngine(child, 5);
  await assert.rejects(
    engine.run(joined(column(1)), LONG_MS),
    ends('crashed', /its id is 7, that of another exchange/),
  );
  const asked = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  t.after(() => asked.kill('SIGKILL'));
  assert.deepEqual(await attachEngine(asked, 6).run(joined(column(1)), LONG_MS), []);
});

test('the ids of exchanges start again after 2^32 - 1', async (t) => {
  const engine = attachEngine(spawnEngine(), 2 ** 32 - 2);
  t.after(() => engine.kill());
  await engine.load(order(join(writeModel(folder, 'numbers', identity('float32', ['N'])), 'model.onnx')));
  for (const value of [1, 2]) {
    const [output] = await engine.run(joined(float32([1], [value])), LONG_MS);
    assert.deepEqual(output!.data, Float32Array.of(value));
  }
});

test('an engine that cannot start is a crash with the reason', async () => {
  const engine = attachEngine(
    spawn(join(folder, 'no-such-program'), [], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] }),
  );
  const loading = engine.load(order('model.onnx'));
  await assert.rejects(loading, ends('crashed', /could not start: .*ENOENT/));
  assert.match(await engine.exited, /^could not start/);
});

test('a process that ended before it was attached fails its load at once', async () => {
  const child = spawnEngine();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const engine = attachEngine(child);
  await assert.rejects(engine.load(order('model.onnx')), { name: 'RunError', fault: 'crashed', message: /SIGKILL/ });
  assert.match(await engine.exited, /SIGKILL/);
});

test('an engine whose file has changed since it was listed reports FILE_CHANGED, also if the file is no longer a model', async (t) => {
  const path = join(writeModel(folder, 'replaced', identity()), 'model.onnx');
  const stamp = stampOfFile(statSync(path, { bigint: true }));
  const replaced = {
    name: 'RunError',
    fault: 'failed',
    code: 'FILE_CHANGED',
    message: /has changed since it was listed/,
  };
  for (const bytes of [unknownOperator(), Buffer.from('half of')]) {
    writeFileSync(path, bytes);
    await assert.rejects(start(t).load({ ...order(path), stamps: [[path, stamp]] }), replaced);
  }
  rmSync(path);
  const gone = { code: 'FILE_CHANGED', message: /is gone since it was listed/ };
  await assert.rejects(start(t).load({ ...order(path), stamps: [[path, stamp]] }), gone);
  await assert.rejects(start(t).load(order(path)), { fault: 'failed', code: undefined });
});
