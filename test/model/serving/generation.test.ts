import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import type { EngineOptions, Generation } from '../../../functions/model/serving/generation.ts';
import { loadGeneration } from '../../../functions/model/serving/load-generation.ts';
import { predictionEncoderOf } from '../../../functions/routes/native/prediction-encoder.ts';
import type { JsonValue } from '../../../functions/tensor/json/reader.ts';
import { isAlive } from '../../helpers/descendants.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { classifier, sequenceOutput } from '../../helpers/exported-models.ts';
import { localFiles } from '../../helpers/local-models.ts';
import {
  endless,
  fixedBatch,
  identity,
  poisonable,
  sequenceAxis,
  unknownOperator,
  writeModel,
} from '../../helpers/models.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { until } from '../../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'generation-'));
after(() => rmSync(folder, { recursive: true }));

interface Prepared extends Generation {
  readonly phases: string[];
  readonly warnings: string[];
  readonly infos: string[];
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
  const files = await localFiles(writeModel(folder, name, bytes, manifest, golden));
  const telemetry = recordTelemetry();
  const phases: string[] = [];
  const generation = await loadGeneration(files, engineOptions(options), telemetry, (phase) => phases.push(phase));
  t.after(() => generation.close());
  const messagesOf = (wanted: string): string[] =>
    telemetry.lines.filter(({ level }) => level === wanted).map(({ message }) => message);
  return { ...generation, phases, warnings: messagesOf('warning'), infos: messagesOf('info'), path: files.path };
}

/** The members of the prediction of some features. */
async function predict(generation: Generation, features: JsonValue): Promise<unknown> {
  const feeds = generation.rows.decode(features, 'features');
  const [outcome] = await generation.predict(feeds, { cancelled: false });
  if ('error' in outcome!) throw outcome.error;
  return JSON.parse(`{${predictionEncoderOf(generation).encode(outcome!.outputs, outcome!.first, feeds.isRow)}}`);
}

test('a model beside files for texts that the server does not use serves its tensors, and a line of the log says why', async (t) => {
  const root = writeModel(folder, 'masked', identity());
  writeFileSync(join(root, 'tokenizer.json'), '{}');
  writeFileSync(join(root, 'config.json'), '{"architectures":["BertForMaskedLM"]}');
  const telemetry = recordTelemetry();
  const generation = await loadGeneration(await localFiles(root), engineOptions({}), telemetry, () => {});
  t.after(() => generation.close());
  assert.equal(generation.preparation, undefined);
  const [{ level, message }] = telemetry.lines as [(typeof telemetry.lines)[0]];
  assert.equal(level, 'info');
  assert.match(message, /^callers send tensors: tokenizer\.json lies beside it, and no config\.json says/);
});

test('a model is loaded, checked and warmed up, and then predicts', async (t) => {
  const golden = { rows: [{ features: [1, 2, 3, 4], outputs: { y: [1, 2, 3, 4] } }] };
  const generation = await prepare(t, { bytes: identity(), manifest: { name: 'echo', version: '3' }, golden });
  assert.deepEqual(generation.phases, ['loading', 'checking', 'warming']);
  assert.deepEqual([generation.name, generation.version, generation.joinsRows], ['echo', '3', true]);
  assert.deepEqual(generation.warnings, []);
  assert.equal(generation.bytes, identity().length);
  assert.deepEqual(await predict(generation, [5, 6, 7, 8]), { prediction: [5, 6, 7, 8], outputs: { y: [5, 6, 7, 8] } });
  assert.deepEqual([generation.queueDepth(), generation.fault()], [0, undefined]);
});

test('a loaded model answers with labels as its manifest says, and one with labels that it does not have is refused', async (t) => {
  const output = { activation: 'softmax', top: 1 };
  const bytes = identity();
  const generation = await prepare(t, { bytes, manifest: { output, classes: ['a', 'b', 'c', 'd'] } });
  assert.deepEqual(await predict(generation, [0, 0, 0, Math.log(3)]), {
    prediction: 'd',
    scores: [{ label: 'd', score: 0.5 }],
    outputs: { y: [0, 0, 0, 1.0986123] },
  });
  const message = /output\.top chooses among labels, and the model has none: name them in classes$/;
  await assert.rejects(prepare(t, { bytes, manifest: { output } }), { code: 'MODEL_FAILED', message });
});

test('a model whose first dimension is not a batch serves rows and complete tensors, one request a run', async (t) => {
  const generation = await prepare(t, { bytes: sequenceAxis() });
  assert.equal(generation.joinsRows, false);
  assert.deepEqual(generation.warnings, []);
  assert.match(generation.infos.join(), /one request a run: operator CumSum, node \w+: it adds up the rows/);
  const { enabled, decidedBy } = generation.batching;
  assert.deepEqual([enabled, decidedBy], [false, 'proof']);
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

test('a fixed first dimension is not joined, without a warning', async (t) => {
  const generation = await prepare(t, { bytes: fixedBatch() });
  assert.deepEqual([generation.joinsRows, generation.warnings], [false, []]);
  assert.deepEqual(await predict(generation, [1, 2, 3, 4]), { prediction: [3, 7], outputs: { y: [3, 7] } });
});

test('"batching" of the manifest decides about joining', async (t) => {
  const off = await prepare(t, { bytes: identity(), manifest: { batching: false } });
  assert.deepEqual([off.joinsRows, off.warnings], [false, []]);
  const on = await prepare(t, { bytes: sequenceAxis(), manifest: { batching: true } });
  assert.deepEqual([on.joinsRows, on.warnings], [true, []]);
});

test('the classes of a ZipMap are logged, and are those of the model', async (t) => {
  const generation = await prepare(t, { bytes: classifier(['setosa', 'versicolor']) });
  assert.deepEqual(generation.warnings, []);
  assert.deepEqual(
    generation.infos[0],
    'output output_probability: ZipMap removed, so it is a tensor; its classes are setosa, versicolor',
  );
  assert.equal(generation.joinsRows, true);
  const { prediction, label, outputs } = (await predict(generation, [0, 1])) as Record<string, unknown>;
  assert.deepEqual([prediction, label], ['versicolor', 'versicolor']);
  assert.deepEqual(Object.keys(outputs as object), ['output_label', 'output_probability']);
});

test('integer labels are labels; the manifest may take the scores as the prediction, and may name the classes', async (t) => {
  const labels = Array.from({ length: 12 }, (_, i) => 3 * i);
  const features = labels.map((label) => (label === 21 ? 1 : 0));
  const labelled = await prepare(t, { bytes: classifier(labels) });
  assert.match(labelled.infos[0]!, /its classes are 0, 3, 6, 9, 12, 15, 18, 21, 24, 27, …$/);
  const { prediction, label } = (await predict(labelled, features)) as Record<string, unknown>;
  assert.deepEqual([prediction, label], [21, '21']);

  const scored = await prepare(t, { bytes: classifier(labels), manifest: { output: 'output_probability' } });
  assert.equal(((await predict(scored, features)) as { label: string }).label, '21');

  const classes = labels.map((label) => `class ${label}`);
  const manifest = { output: 'output_probability', classes };
  const named = await prepare(t, { bytes: classifier(labels), manifest });
  assert.equal(((await predict(named, features)) as { label: string }).label, 'class 21');
});

const GOLDEN = { rows: [{ features: [1, 2, 3, 4], outputs: { y: [1, 2, 3, 5] } }] };
const REFUSED: [title: string, files: Files, message: RegExp][] = [
  ['a file that onnxruntime refuses', { bytes: unknownOperator() }, /model\.onnx: .*NoSuchOperator/],
  [
    'an output that cannot be returned',
    { bytes: sequenceOutput() },
    /^(?!.*\.onnx.*\.onnx).*model\.onnx: output parts is sequence of tensor/,
  ],
  [
    'a file that is not ONNX',
    { bytes: Buffer.from('{}') },
    /^(?!.*\.onnx.*\.onnx).*model\.onnx: expected an ONNX model, but found/,
  ],
  [
    'a wrong number of classes',
    { bytes: identity(), manifest: { classes: ['a', 'b'] } },
    /^model\.json: classes names 2 classes, but the output y has 4 scores/,
  ],
  [
    'a golden row with another output',
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
    'a missing main output',
    { bytes: identity(), manifest: { output: 'z' } },
    /^model\.json: output: the model has no output z; it has y$/,
  ],
];

for (const [title, files, message] of REFUSED) {
  test(`${title}: the model is refused with the reason`, async (t) => {
    await assert.rejects(prepare(t, files), { code: 'MODEL_FAILED', message });
  });
}

test('there are as many engines as CPUs and memory allow, or as many as configured', async (t) => {
  const two = await prepare(
    t,
    { bytes: identity() },
    { capacity: { cpus: 2.5, memoryBytes: undefined }, processes: undefined },
  );
  assert.equal(two.engines().length, 2);
  const asked = await prepare(t, { bytes: identity() }, { processes: 3 });
  assert.equal(asked.engines().length, 3);
  await until(() => asked.engines().every(({ state }) => state === 'idle'), 'all engines are warm');
});

test('rows beyond one run are refused when the queue is full', async (t) => {
  const generation = await prepare(t, { bytes: endless() }, { maxQueueSize: 1, runTimeoutMs: 300 });
  const feeds = (value: number) => generation.rows.decode(value, 'features');
  const stuck = generation.predict(feeds(1), { cancelled: false });
  await until(() => generation.queueDepth() === 0, 'the first row is in a run');
  const waiting = generation.predict(feeds(0), { cancelled: false });
  await assert.rejects(generation.predict(feeds(0), { cancelled: false }), { code: 'OVERLOADED' });
  const [late] = await stuck;
  assert.ok('error' in late! && late.error.code === 'DEADLINE');
  assert.ok('outputs' in (await waiting)[0]!, 'the next engine answers what waited');
});

test('while engines crash in a loop, requests are refused with the reason and a time to try again', async (t) => {
  const generation = await prepare(t, { bytes: identity() });
  renameSync(generation.path, `${generation.path}.away`);
  process.kill(generation.engines()[0]!.pid!, 'SIGKILL');
  await until(() => generation.fault() !== undefined, 'the loop is seen');
  assert.match(generation.fault()!, /model\.onnx/);
  await assert.rejects(predict(generation, [1, 2, 3, 4]), {
    code: 'NOT_READY',
    retryAfter: 1,
    message: /engine processes keep ending/,
    detail: /model\.onnx/,
  });
});

test('rows that are queued when a crash loop begins are rejected as new ones are', async (t) => {
  const generation = await prepare(t, { bytes: identity() });
  renameSync(generation.path, `${generation.path}.away`);
  process.kill(generation.engines()[0]!.pid!, 'SIGKILL');
  await until(() => generation.engines()[0]!.state !== 'idle', 'the crash is seen');
  assert.equal(generation.fault(), undefined, 'its replacement may load');
  const feeds = generation.rows.decode([1, 2, 3, 4], 'features');
  const refusal = {
    code: 'NOT_READY',
    retryAfter: 1,
    message: /engine processes keep ending/,
    detail: /model\.onnx/,
  };
  const bulk = { bulk: true, begun: true } as const;
  await Promise.all([
    assert.rejects(generation.predict(feeds, { cancelled: false }), refusal),
    assert.rejects(generation.predict(feeds, { cancelled: false }, bulk), refusal),
  ]);
  assert.equal(generation.queueDepth(), 0);
});

test('a closed generation leaves no engine process', async (t) => {
  const generation = await prepare(t, { bytes: identity() }, { processes: 2 });
  const pids = generation.engines().map(({ pid }) => pid!);
  await generation.close();
  assert.deepEqual(pids.map(isAlive), [false, false]);
});

test('a model that never ends on its own example is refused: it must not replace another', async (t) => {
  const manifest = { example: { features: [1] } };
  const message = /model\.json: example does not run: the run took longer than 300 ms/;
  const alone = { bytes: endless(), manifest: { ...manifest, batching: true } };
  await assert.rejects(prepare(t, alone, { runTimeoutMs: 300 }), { code: 'MODEL_FAILED', message });
  // The trial of its rows has ended the one engine before.
  const tried = { bytes: endless(), manifest };
  await assert.rejects(prepare(t, tried, { runTimeoutMs: 300 }), { code: 'MODEL_FAILED', message });
});

test('a model that fails on its own example is refused with the reason', async (t) => {
  const golden = { rows: [{ features: [1], outputs: { y: [2] } }] };
  const files = { bytes: poisonable(), manifest: { example: { features: [-1] } }, golden };
  const message = /model\.json: example does not run: .*Gather/;
  await assert.rejects(prepare(t, files), { code: 'MODEL_FAILED', message });
});

test('an engine that a synthetic row has ended is replaced before the model serves', async (t) => {
  for (const batching of [undefined, true]) {
    const generation = await prepare(t, { bytes: endless(), manifest: { batching } }, { runTimeoutMs: 300 });
    assert.deepEqual(
      generation.engines().map(({ state }) => state),
      ['idle'],
    );
  }
});

test('an engine that a synthetic row has ended, and that cannot be replaced, fails the load', async (t) => {
  const { path, ...files } = await localFiles(writeModel(folder, 'gone', endless()));
  const telemetry = recordTelemetry();
  const { error } = telemetry.logger;
  t.mock.method(telemetry.logger, 'error', (...line: Parameters<typeof error>) => {
    error(...line);
    rmSync(path, { force: true });
  });
  const loading = loadGeneration({ path, ...files }, engineOptions({ runTimeoutMs: 300 }), telemetry, () => {});
  await assert.rejects(loading, { code: 'MODEL_FAILED', message: /the model does not load a second time: .*gone/ });
});
