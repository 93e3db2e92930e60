import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseManifest } from '../../../functions/model/folder/manifest.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { freeDimensions, manyInputs, unknownOperator, zipMap } from '../../helpers/models.ts';
import { doctor, folderOf } from './context.ts';

const ROOT = join(import.meta.dirname, '../../..');
const IRIS = join(ROOT, 'models/iris');

const project = (...args: Parameters<typeof folderOf>): string => {
  const folder = folderOf(...args);
  cpSync(join(ROOT, 'service.yaml'), join(folder, 'service.yaml'));
  return folder;
};

test('a model is measured in an engine process, and the report has its load, memory, run times, best batch and costs', async () => {
  const { json, lines, steps } = await doctor(IRIS, { measure: true });
  const [{ measured, dollars_per_million: dollars }] = json.models as [(typeof json.models)[0]];
  assert.deepEqual(
    measured!.runs.map(({ rows }) => rows),
    [1, 2, 4, 8, 16, 32, 64],
  );
  assert.ok(measured!.load_ms > 0 && measured!.memory.privateBytes > 2 ** 20 && measured!.best_batch >= 1);
  assert.ok(dollars!.rate > 0 && dollars!.cloudRunRequests >= 0.4 && dollars!.alone > dollars!.cloudRunRequests);
  assert.deepEqual([json.cloud_run!.cpu, json.cloud_run!.memory_bytes], [1, 2 ** 29]);
  const text = lines.join('\n');
  for (const line of [
    /^ {2}Measured with 1 thread on /m,
    /^ {4}load {4}\d/m,
    /^ {4}memory {2}file 354 bytes, session/m,
    /best batch$/m,
  ])
    assert.match(text, line);
  assert.match(text, /^ {2}A million predictions of one row, at full load \([\d,]+ a second\)$/m);
  assert.deepEqual(
    steps.map((step) => step.split(' ')[0]),
    ['looking', 'reading', 'loading', 'measuring'],
  );
});

test('a model of fixed rows is measured with single rows; made-up rows of free lengths are noted', async (t) => {
  const { json } = await doctor(folderOf(t, { 'model.onnx': freeDimensions() }), { measure: true });
  const [{ findings }] = json.models as [(typeof json.models)[0]];
  assert.deepEqual(findings, [
    {
      level: 'note',
      kind: 'made-up-row',
      problem: 'the run times are those of made-up rows: M 16',
      fix: 'give the example of a row of yours in model.json',
    },
  ]);
});

test('a model of texts is measured in runs of every size, and the note has no advice about model.json', async () => {
  const { json } = await doctor(join(ROOT, 'test/assets/refs/models/text-embedding-bert'), { measure: true });
  const [{ findings, measured }] = json.models as [(typeof json.models)[0]];
  assert.deepEqual(
    measured!.runs.map(({ rows }) => rows),
    [1, 2, 4, 8, 16, 32, 64],
  );
  assert.deepEqual(
    findings.filter(({ kind }) => kind === 'made-up-row'),
    [{ level: 'note', kind: 'made-up-row', problem: 'the run times are those of made-up rows: sequence_length 16' }],
  );
});

/** A picture must be 8 by 8: it is flattened, and multiplied with 64 weights. */
const picky = () =>
  model({
    name: 'picky',
    nodes: [node('Reshape', ['x', 'shape'], ['flat']), node('MatMul', ['flat', 'w'], ['y'])],
    initializers: [
      initializer('shape', 'int64', [2], [-1, 64]),
      initializer('w', 'float32', [64, 1], new Float32Array(64)),
    ],
    inputs: [value('x', 'float32', ['N', 'length'])],
    outputs: [value('y', 'float32', ['N', 1])],
  });

test('a model for which no made-up row runs is not measured, and the note says what to do', async (t) => {
  const { json, isGood } = await doctor(folderOf(t, { 'model.onnx': picky() }), { measure: true });
  const [{ findings, measured }] = json.models as [(typeof json.models)[0]];
  assert.equal(isGood, true);
  assert.ok(
    findings.some(({ kind, fix }) => kind === 'no-row' && fix === 'give the example of a valid row in model.json'),
  );
  assert.deepEqual(measured!.runs, []);
});

test('--write sets memory, CPU, concurrency, processes and threads of the service, and writes a model.json that the server takes', async (t) => {
  const folder = project(t, { 'models/zip/model.onnx': zipMap() });
  const { json, lines } = await doctor(join(folder, 'models'), { measure: true, write: folder });
  const service = readFileSync(join(folder, 'service.yaml'), 'utf8');
  assert.match(service, /cpu: '1'\n {14}memory: 512Mi/);
  assert.match(service, /- name: INFERENCE_PROCESSES\n {14}value: '1'\n {12}- name: INTRA_OP_THREADS\n {14}value: '1'/);
  assert.match(service, /# Above a full run of 64 rows/, 'comments stay');
  const path = join(folder, 'models/zip/model.json');
  const manifest = parseManifest(readFileSync(path, 'utf8'), path);
  assert.equal(manifest.output, 'label');
  assert.match(
    manifest.description!,
    /^Takes x float32 \[rows, 2\]; returns label int64 \[rows\], probabilities float32 \[rows, 2\]\.$/,
  );
  assert.equal((manifest.example!.features as readonly number[]).length, 2);
  assert.deepEqual(
    json.written.map((file) => [file.path, file.changes.length]),
    [
      [join(folder, 'service.yaml'), json.written[0]!.changes.length],
      [path, 3],
    ],
  );
  assert.ok(
    lines.includes('  spec.template.spec.containers.0.resources.limits.memory: 2Gi -> 512Mi'),
    lines.join('\n'),
  );
  // The second time the example of model.json is used, and stays.
  const again = await doctor(join(folder, 'models'), { write: folder });
  assert.match(
    again.json.notes.join('\n'),
    /zip has a model\.json: it was not changed \(--force replaces its fields\)/,
  );
  assert.equal(readFileSync(path, 'utf8'), readFileSync(path, 'utf8'));
});

test('--write without measuring sets the memory alone, and says so; a row of several inputs becomes the example', async (t) => {
  const folder = project(t, { 'm/model.onnx': manyInputs() });
  const before = readFileSync(join(folder, 'service.yaml'), 'utf8');
  const { json } = await doctor(join(folder, 'm'), { write: folder });
  assert.match(
    json.notes.join('\n'),
    /CPU, concurrency, processes and threads were not written: they need the run times/,
  );
  assert.equal(readFileSync(join(folder, 'service.yaml'), 'utf8'), before.replace('memory: 2Gi', 'memory: 512Mi'));
  const path = join(folder, 'm/model.json');
  assert.deepEqual(Object.keys(parseManifest(readFileSync(path, 'utf8'), path).example!.features as object), [
    'age',
    'city',
  ]);
});

test('--force replaces the fields of a model.json, and keeps the others', async (t) => {
  const folder = project(t, { 'm/model.onnx': zipMap(), 'm/model.json': '{"name":"mine","output":"probabilities"}' });
  await doctor(join(folder, 'm'), { write: folder, force: true });
  const { name, output } = JSON.parse(readFileSync(join(folder, 'm/model.json'), 'utf8')) as Record<string, string>;
  assert.deepEqual([name, output], ['mine', 'label']);
});

test('labels of a Hugging Face export become the classes of model.json', async (t) => {
  const bytes = model({
    name: 'classifier',
    nodes: [node('Identity', ['pixel_values'], ['logits'])],
    inputs: [value('pixel_values', 'float32', ['N', 2])],
    outputs: [value('logits', 'float32', ['N', 2])],
  });
  const config = { model_type: 'vit', id2label: { 1: 'dog', 0: 'cat' } };
  const folder = project(t, { 'm/model.onnx': bytes, 'm/config.json': JSON.stringify(config) });
  await doctor(join(folder, 'm'), { write: folder });
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'm/model.json'), 'utf8')).classes, ['cat', 'dog']);
});

test('nothing is written for a model that does not serve, in a folder that is no project, or with --force alone', async (t) => {
  const broken = project(t, { 'm/model.onnx': unknownOperator() });
  await assert.rejects(
    doctor(join(broken, 'm'), { write: broken }),
    /nothing was written, because .* does not serve: the operator NoSuchOperator/,
  );
  const folder = folderOf(t, { 'm/model.onnx': zipMap() });
  await assert.rejects(doctor(join(folder, 'm'), { write: folder }), /expected a service\.yaml or a folder k8s in it/);
  await assert.rejects(doctor(join(folder, 'm'), { force: true }), /--force is for --write: give both/);
});

test('--prices replaces prices of the list', async (t) => {
  const folder = folderOf(t, {});
  const prices = join(folder, 'prices.json');
  writeFileSync(prices, JSON.stringify({ region: 'here', prices: { millionRequests: 100 } }));
  const { json, lines } = await doctor(IRIS, { measure: true, prices });
  assert.ok(json.models[0]!.dollars_per_million!.cloudRunRequests > 100);
  assert.match(lines.join('\n'), /list prices of here|prices of here/);
});
