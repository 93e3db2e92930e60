import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool } from '../../../functions/engine/pool.ts';
import { RunError } from '../../../functions/engine/process/engine-process.ts';
import type { CompiledFiles } from '../../../functions/engine/process/model-source.ts';
import type { CompiledModel } from '../../../functions/model/compiled/compiled-models.ts';
import { NoFolderError } from '../../../functions/model/compiled/folder.ts';
import { createGrowth } from '../../../functions/model/compiled/growth.ts';
import type { FirstEngine } from '../../../functions/model/engine-plan.ts';
import { orderFor } from '../../helpers/compiled.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';

const MIB = 2 ** 20;
/** An engine with a copy of 400 MiB of weights. */
const COPIED: FirstEngine = { privateBytes: 450 * MIB, mappedBytes: 400 * MIB };
const FILES: CompiledFiles = { graph: '/graph', stamps: [] };

/** Grows a pool of two idle engines, and records what happens; the model is made by `make`. */
function grow(make: () => Promise<CompiledFiles | undefined>, first = COPIED, engines = 2) {
  const done: string[] = [];
  const { logger, lines } = recordTelemetry();
  const pool = {
    grow: (_: unknown, count: number) => done.push(`grow ${count}`),
    engines: () => [0, 1].map((slot) => ({ slot, pid: undefined, state: 'idle', runs: 0 })),
    recycle: async (slot: number, _: string, startsFirst: boolean, reason: string) => {
      done.push(`recycle ${slot} ${startsFirst} ${reason}`);
    },
  } as unknown as Pool;
  const model = {
    always: false,
    make: () => {
      done.push('compile');
      return make();
    },
  } as unknown as CompiledModel;
  const growth = createGrowth(
    pool,
    [],
    {
      ...{ model, order: orderFor('/model.onnx'), bytes: 1, runTimeoutMs: 1, first },
      runs: () => [],
      check: async () => {},
      onCompiled: (files) => done.push(`use ${files.graph}`),
      countEngines: ({ isCompiled }) => done.push(`count ${isCompiled}`) && 2,
    },
    'net',
    logger,
  );
  growth.grow(engines);
  /** Settles when the compilation and what follows has. */
  async function settled() {
    await growth.stop();
    return { done, lines: lines.map(({ level, message }) => `${level}: ${message}`) };
  }
  return { growth, done, settled, lines };
}

/** Lets all that is settled already take its course. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the process that compiles takes the place of one engine, and then all engines get the files', async () => {
  const { promise, resolve } = Promise.withResolvers<CompiledFiles>();
  const { growth, done, settled } = grow(() => promise);
  assert.deepEqual(done, ['compile', 'grow 1']);
  growth.grow(2);
  assert.deepEqual(done.splice(0), ['compile', 'grow 1', 'grow 1']);
  resolve(FILES);
  await turn();
  await settled();
  const steps = ['use /graph', 'grow 2', 'recycle 0 true compiled', 'recycle 1 true compiled', 'count true', 'grow 2'];
  assert.deepEqual(done, steps);
});

for (const [what, first, engines] of [
  ['one engine', COPIED, 1],
  ['little memory of its own, because its weights are shared already,', { ...COPIED, privateBytes: 60 * MIB }, 2],
  ['little mapped weights', { ...COPIED, mappedBytes: 20 * MIB }, 2],
] as const) {
  test(`a model with ${what} is not compiled`, async () => {
    const { settled } = grow(() => Promise.resolve(FILES), first, engines);
    assert.deepEqual((await settled()).done, [`grow ${engines}`]);
  });
}

for (const [what, error, level] of [
  ['a disk without room', new Error('it may take 9 bytes, and /x has room for 1'), 'warning'],
  ['a disk that is full', new RunError('failed', 'Failed to write external initializers to file'), 'warning'],
  ['a process that ended', new RunError('crashed', 'the engine process ended: killed by SIGBUS'), 'warning'],
  ['wrong outputs', new Error('element 0 of its output 0 is 1 when compiled, and 2 before'), 'warning'],
  ['what onnxruntime refuses', new RunError('failed', 'NOT_IMPLEMENTED'), 'debug'],
  ['a system without a folder for it', new NoFolderError('files in /tmp take memory'), 'debug'],
] as const) {
  test(`${what} is logged once as ${level}, and the engines start without`, async () => {
    const { done, settled } = grow(() => Promise.reject(error));
    await turn();
    const { lines } = await settled();
    assert.deepEqual(lines, [`${level}: the model is not compiled, and serves without: ${error.message}`]);
    assert.deepEqual(done, ['compile', 'grow 1', 'grow 2']);
  });
}

test('where compiled models are not written the engines start, without a line in the log', async () => {
  const { done, settled } = grow(() => Promise.resolve(undefined));
  await turn();
  assert.deepEqual((await settled()).lines, []);
  assert.deepEqual(done, ['compile', 'grow 1', 'grow 2']);
});

test('a pool that is closed meanwhile gets no engines', async () => {
  const { promise, reject } = Promise.withResolvers<CompiledFiles>();
  const { done, growth, lines } = grow(() => promise);
  const stopped = growth.stop();
  reject(new RunError('crashed', 'the engine process ended: killed by SIGKILL'));
  await stopped;
  assert.equal(lines.length, 0);
  assert.deepEqual(done, ['compile', 'grow 1']);
});
