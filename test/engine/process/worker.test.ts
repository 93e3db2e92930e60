import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { attachEngine, type Engine } from '../../../functions/engine/process/engine-process.ts';
import { spawnEngine } from '../../../functions/engine/process/spawn.ts';
import { model, node, value } from '../../../functions/onnx/proto/build.ts';
import { isAlive } from '../../helpers/descendants.ts';
import { endless, identity, slow, writeModel } from '../../helpers/models.ts';
import { column, float32, joined } from '../../helpers/tensors.ts';
import { until } from '../../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'worker-'));
after(() => rmSync(folder, { recursive: true }));

const WORKER = fileURLToPath(new URL('../../../functions/engine/process/worker.ts', import.meta.url));
const LONG_MS = 20_000;
const order = (path: string) => ({ path, intraOpThreads: 1, executionProviders: ['cpu'] });

async function load(t: TestContext, name: string, bytes: Uint8Array): Promise<Engine> {
  const engine = attachEngine(spawnEngine());
  t.after(() => engine.kill());
  await engine.load(order(join(writeModel(folder, name, bytes), 'model.onnx')));
  return engine;
}

test('SIGTERM and SIGINT end neither an idle engine nor one in a run', async (t) => {
  const engine = await load(t, 'slow', slow());
  const signal = (): void => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.kill(engine.pid!, name);
  };
  signal();
  const [quick] = await engine.run(joined(column(0)), LONG_MS);
  assert.deepEqual(quick!.data, Float32Array.of(0));
  const run = engine.run(joined(column(200)), LONG_MS);
  const signals = setInterval(signal, 20);
  const [output] = await run.finally(() => clearInterval(signals));
  assert.deepEqual(output!.data, Float32Array.of(200));
});

test('an engine whose parent closes the socket within an order ends by itself', async (t) => {
  const child = spawn(process.execPath, [WORKER], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  (child.stdio[3] as NodeJS.WritableStream).end(Buffer.from([64, 0, 0, 0, 1]));
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

test('a parent killed during an endless run leaves no engine 2 s later', async (t) => {
  const path = join(writeModel(folder, 'endless', endless()), 'model.onnx');
  const source = (name: string): string =>
    JSON.stringify(new URL(`../../../functions/engine/process/${name}`, import.meta.url).href);
  const script = `
    import { attachEngine } from ${source('engine-process.ts')};
    import { spawnEngine } from ${source('spawn.ts')};
    const engine = attachEngine(spawnEngine());
    await engine.load(${JSON.stringify(order(path))});
    const run = engine.run([{ slot: 0, dtype: 'float32', dims: [1, 1], parts: [Float32Array.of(1)] }], 60000);
    console.log(engine.pid);
    await run;
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [line] = await once(createInterface(parent.stdout), 'line');
  const pid = Number(line);
  t.after(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));
  assert.ok(isAlive(pid));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await until(() => !isAlive(pid), 'the engine is gone', 2000);
});

test("onnxruntime's telemetry is off before the library is loaded", async (t) => {
  const hook = `
    import { writeSync } from 'node:fs';
    import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      if (name.startsWith('onnxruntime-node')) writeSync(1, 'ORT_DISABLE_TELEMETRY=' + process.env.ORT_DISABLE_TELEMETRY);
      return next(name, context);
    } });
  `;
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  const preload = `data:text/javascript,${encodeURIComponent(hook)}`;
  const child = spawn(process.execPath, ['--import', preload, WORKER], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    env,
  });
  t.after(() => child.kill('SIGKILL'));
  const [text] = await once(child.stdout!, 'data');
  assert.equal(String(text), 'ORT_DISABLE_TELEMETRY=1');
});

test('an engine gets no settings of the server, and is killed before it if memory runs out', async (t) => {
  process.env.REDIS_URL = 'redis://:secret@host';
  t.after(() => delete process.env.REDIS_URL);
  const engine = await load(t, 'environment', identity());
  const read = (pid: number | 'self', name: string): string => readFileSync(`/proc/${pid}/${name}`, 'utf8');
  const environment = read(engine.pid!, 'environ');
  assert.match(environment, /\bPATH=/);
  assert.doesNotMatch(environment, /REDIS_URL|secret/);
  const own = Number(read('self', 'oom_score_adj'));
  assert.equal(Number(read(engine.pid!, 'oom_score_adj')), Math.min(1000, own + 300));
});

test('the memory of a large run is freed', async (t) => {
  const engine = await load(t, 'large', identity('float32', ['N']));
  const resident = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, 'utf8'))![1]);
  const run = (length: number) =>
    engine.run(joined({ dtype: 'float32', dims: [length], data: new Float32Array(length) }), LONG_MS);
  await run(1);
  const before = resident();
  await run(2 ** 24);
  await run(1);
  // Of 64 MiB there and back: onnxruntime keeps the one that it made.
  const kept = (resident() - before) / 1024;
  assert.ok(kept < 96, `${kept} MiB`);
});

test('an output that is the input itself, or that occurs twice, is complete although its memory is freed', async (t) => {
  const bytes = model({
    name: 'through',
    nodes: [node('Identity', ['x'], ['y']), node('Identity', ['x'], ['z'])],
    inputs: [value('x', 'float32', ['N'])],
    outputs: ['x', 'y', 'z'].map((name) => value(name, 'float32', ['N'])),
  });
  const engine = await load(t, 'through', bytes);
  const data = Float32Array.from({ length: 2 ** 20 }, (_, i) => i);
  for (let run = 0; run < 3; run++) {
    const outputs = await engine.run(joined({ dtype: 'float32', dims: [data.length], data }), LONG_MS);
    assert.deepEqual(
      outputs.map((output) => output.data),
      [data, data, data],
    );
  }
});

test('an invalid order fails, and the next one is executed', async (t) => {
  const engine = await load(t, 'identity', identity());
  await assert.rejects(engine.run(joined(float32([1, 3], [1, 2, 3])), LONG_MS), /failed|invalid|Got/i);
  const [output] = await engine.run(joined(float32([1, 4], [1, 2, 3, 4])), LONG_MS);
  assert.deepEqual(output!.data, Float32Array.of(1, 2, 3, 4));
});
