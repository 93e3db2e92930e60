import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { JsonValue } from '../../functions/engine/json-reader.ts';
import { type EngineOptions, type Generation, prepareGeneration } from '../../functions/model/generation.ts';
import { createFileSource } from '../../functions/model/sources/file.ts';
import { isAlive } from '../helpers/descendants.ts';
import {
  add,
  endless,
  fixedBatch,
  identity,
  poisonable,
  sequenceAxis,
  unknownOperator,
  writeModel,
  zipMap,
} from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { until } from '../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'generation-'));
after(() => rmSync(folder, { recursive: true }));

const OPTIONS: EngineOptions = {
  capacity: { cpus: 1, memoryBytes: undefined },
  processes: undefined,
  intraOpThreads: 1,
  executionProviders: ['cpu'],
  maxBatchSize: 8,
  batchDelayMs: 0,
  maxQueueSize: 100,
  runTimeoutMs: 10_000,
};

interface Prepared extends Generation {
  readonly phases: string[];
  readonly warnings: string[];
  readonly path: string;
}

interface Files {
  readonly bytes: Uint8Array;
  readonly manifest?: object;
  readonly golden?: object;
}

async function prepare(
  t: TestContext,
  { bytes, manifest, golden }: Files,
  options: Partial<EngineOptions> = {},
): Promise<Prepared> {
  const name = t.name.replaceAll(/\W+/g, '-').slice(0, 60);
  const files = await createFileSource(writeModel(folder, name, bytes, manifest, golden), undefined).fetch();
  const telemetry = recordTelemetry();
  const phases: string[] = [];
  const generation = await prepareGeneration(files, { ...OPTIONS, ...options }, telemetry, (phase) =>
    phases.push(phase),
  );
  t.after(() => generation.close());
  const warnings = telemetry.lines.filter(({ level }) => level === 'warning').map(({ message }) => message);
  return { ...generation, phases, warnings, path: files.path };
}

/** The members of the prediction of some features. */
async function predict(generation: Generation, features: JsonValue): Promise<unknown> {
  const feeds = generation.rows.decode(features, 'features');
  const [outcome] = await generation.predict(feeds, { gone: false });
  if ('error' in outcome!) throw outcome.error;
  return JSON.parse(`{${generation.writer.write(outcome!.outputs, outcome!.first, feeds.isRow)}}`);
}

test('a model is loaded, checked and warmed, and then answers', async (t) => {
  const golden = { rows: [{ features: [1, 2, 3, 4], outputs: { y: [1, 2, 3, 4] } }] };
  const generation = await prepare(t, { bytes: identity(), manifest: { name: 'echo', version: '3' }, golden });
  assert.deepEqual(generation.phases, ['loading', 'checking', 'warming']);
  assert.deepEqual([generation.name, generation.version, generation.joined], ['echo', '3', true]);
  assert.deepEqual(generation.warnings, []);
  assert.equal(generation.bytes, identity().length);
  assert.deepEqual(await predict(generation, [5, 6, 7, 8]), { prediction: [5, 6, 7, 8], outputs: { y: [5, 6, 7, 8] } });
  assert.deepEqual([generation.queueDepth(), generation.fault()], [0, undefined]);
});

test('a model whose first dimension is no batch serves rows and whole tensors, one request a run', async (t) => {
  const generation = await prepare(t, { bytes: sequenceAxis() });
  assert.equal(generation.joined, false);
  assert.match(
    generation.warnings[0]!,
    /^rows of this model are not joined: output 0 of a row changes with its company/,
  );
  assert.deepEqual(
    await predict(generation, [
      [1, 1, 1],
      [1, 1, 1],
    ]),
    {
      prediction: [
        [1, 1, 1],
        [2, 2, 2],
      ],
      outputs: {
        y: [
          [1, 1, 1],
          [2, 2, 2],
        ],
      },
    },
  );
  assert.deepEqual(await predict(generation, [1, 2, 3]), { prediction: [1, 2, 3], outputs: { y: [1, 2, 3] } });
});

test('a fixed first dimension is not joined, and that is nothing to warn of', async (t) => {
  const generation = await prepare(t, { bytes: fixedBatch() });
  assert.deepEqual([generation.joined, generation.warnings], [false, []]);
  assert.deepEqual(await predict(generation, [1, 2, 3, 4]), { prediction: [3, 7], outputs: { y: [3, 7] } });
});

test('the manifest decides about joining where it says so', async (t) => {
  const off = await prepare(t, { bytes: identity(), manifest: { batching: false } });
  assert.deepEqual([off.joined, off.warnings], [false, []]);
  const on = await prepare(t, { bytes: sequenceAxis(), manifest: { batching: true } });
  assert.deepEqual([on.joined, on.warnings], [true, []]);
});

test('outputs that are no tensors are left out, with a warning that names them', async (t) => {
  const generation = await prepare(t, { bytes: zipMap() });
  assert.deepEqual(generation.warnings[0], 'outputs that are no tensors are left out: probabilities');
  assert.deepEqual(await predict(generation, [1, 5]), { prediction: 1, outputs: { label: 1 } });
});

const GOLDEN = { rows: [{ features: [1, 2, 3, 4], outputs: { y: [1, 2, 3, 5] } }] };
const REFUSED: [title: string, files: Files, message: RegExp][] = [
  ['a file that onnxruntime refuses', { bytes: unknownOperator() }, /model\.onnx: .*NoSuchOperator/],
  [
    'a golden row that comes out otherwise',
    { bytes: identity(), golden: GOLDEN },
    /^golden\.json: rows\[0\]\.outputs\.y: element 3 came out as 4, expected 5/,
  ],
  [
    'a golden row that fails',
    { bytes: poisonable(), golden: { rows: [{ features: -1, outputs: {} }] } },
    /model\.onnx: .*Gather/,
  ],
  [
    'a golden row that does not fit',
    { bytes: identity(), golden: { rows: [{ features: [1], outputs: {} }] } },
    /golden\.json: rows\[0\]\.features/,
  ],
  [
    'an example that does not fit',
    { bytes: identity(), manifest: { example: { features: 'x' } } },
    /model\.json: example\.features/,
  ],
  [
    'a main output that is not there',
    { bytes: identity(), manifest: { output: 'z' } },
    /^model\.json: output: the model has no output z; it has y$/,
  ],
  [
    'other feature names than values',
    { bytes: identity(), manifest: { input: { features: ['a'] } } },
    /^model\.json: input\.features names 1 values, but a row has 4 values$/,
  ],
  [
    'feature names for two inputs',
    { bytes: add(), manifest: { input: { features: ['a', 'b'] } } },
    /^model\.json: input\.features names 2 values, but the model has 2 inputs$/,
  ],
];

for (const [title, files, message] of REFUSED) {
  test(`${title}: the model is refused with the reason`, async (t) => {
    await assert.rejects(prepare(t, files), { code: 'MODEL_FAILED', message });
  });
}

test('there are as many engines as CPUs and memory allow, or as many as asked for', async (t) => {
  const two = await prepare(t, { bytes: identity() }, { capacity: { cpus: 2.5, memoryBytes: undefined } });
  assert.equal(two.engines().length, 2);
  const asked = await prepare(t, { bytes: identity() }, { processes: 3 });
  assert.equal(asked.engines().length, 3);
  await until(() => asked.engines().every(({ state }) => state === 'idle'), 'all engines are warm');
});

test('rows beyond one run are refused when the queue is full', async (t) => {
  const generation = await prepare(t, { bytes: endless() }, { maxQueueSize: 1, runTimeoutMs: 300 });
  const feeds = (value: number) => generation.rows.decode(value, 'features');
  const stuck = generation.predict(feeds(1), { gone: false });
  await until(() => generation.queueDepth() === 0, 'the first row is in a run');
  const waiting = generation.predict(feeds(0), { gone: false });
  await assert.rejects(generation.predict(feeds(0), { gone: false }), { code: 'OVERLOADED' });
  const [late] = await stuck;
  assert.ok('error' in late! && late.error.code === 'DEADLINE');
  assert.ok('outputs' in (await waiting)[0]!, 'the next engine answers what waited');
});

test('while engines crash in a loop, requests are refused with the reason and a time to come back', async (t) => {
  const generation = await prepare(t, { bytes: identity() });
  renameSync(generation.path, `${generation.path}.away`);
  process.kill(generation.engines()[0]!.pid!, 'SIGKILL');
  await until(() => generation.fault() !== undefined, 'the loop is seen');
  assert.match(generation.fault()!, /model\.onnx/);
  await assert.rejects(predict(generation, [1, 2, 3, 4]), {
    code: 'NOT_READY',
    retryAfter: 1,
    message: /engine processes keep ending: .*model\.onnx/,
  });
});

test('a closed generation leaves no engine process', async (t) => {
  const generation = await prepare(t, { bytes: identity() }, { processes: 2 });
  const pids = generation.engines().map(({ pid }) => pid!);
  await generation.close();
  assert.deepEqual(pids.map(isAlive), [false, false]);
});

test('"batching": true is refused where an input has no free first dimension', async (t) => {
  await assert.rejects(prepare(t, { bytes: fixedBatch(), manifest: { batching: true } }), {
    code: 'MODEL_FAILED',
    message: /"batching": true needs a free first dimension .* x has shape \[1, 4\]/,
  });
});
