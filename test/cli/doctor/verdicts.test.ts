import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DATA_TYPES } from '../../../functions/onnx/data-type.ts';
import {
  initializer,
  mapType,
  model,
  node,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../../functions/onnx/proto/build.ts';
import { sequenceOutput } from '../../helpers/exported-models.ts';
import { DETECTORS } from '../../helpers/graphs/detectors.ts';
import {
  externalWeights,
  fixedBatch,
  identity,
  noShape,
  rowsSeeEachOther,
  twoOutputs,
  unknownOperator,
  zipMap,
} from '../../helpers/models.ts';
import { doctor, folderOf } from './context.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris');
const iris = readFileSync(join(IRIS, 'model.onnx'));

/** The report on one model, and the exit code as `isGood`. */
async function report(t: TestContext, files: Record<string, Uint8Array | string>, path = '') {
  const { json, lines, isGood } = await doctor(join(folderOf(t, files), path));
  const [first] = json.models;
  const text = lines.join('\n');
  assert.equal(isGood, json.serves);
  return { ...first!, text, isGood, kinds: first!.findings.map(({ level, kind }) => `${level} ${kind}`) };
}

interface Case {
  readonly title: string;
  readonly files: Record<string, Uint8Array | string>;
  readonly kinds: readonly string[];
  readonly problem?: RegExp;
  readonly fix?: RegExp;
}

const cast = (from: string, to: string, dtype: 'float32') =>
  node('Cast', [from], [to], { to: BigInt(DATA_TYPES[dtype]) });

const FAULTS: readonly Case[] = [
  {
    title: 'missing external data is named, with where to put it',
    files: { 'model.onnx': externalWeights().model },
    kinds: ['fault external-data'],
    problem: /^it keeps weights in model\.onnx\.data, which is not beside it$/,
    fix: /^put it there, under that name$/,
  },
  {
    title: 'a truncated file is named as such, with its size and what it needs',
    files: { 'model.onnx': iris.subarray(0, 200) },
    kinds: ['fault truncated'],
    problem: /^expected an ONNX model, but it is cut short: it has 200 bytes of at least \d+/,
  },
  {
    title: 'a text file is no model',
    files: { 'model.onnx': 'not a model, but a letter to one' },
    kinds: ['fault not-a-model'],
    problem: /^expected an ONNX model, but found text: "not a model, but a letter/,
  },
  {
    title: 'an empty file is no model',
    files: { 'model.onnx': '' },
    kinds: ['fault not-a-model'],
    problem: /the file is empty/,
  },
  {
    title: 'an operator that the opset does not have is named',
    files: { 'model.onnx': unknownOperator() },
    kinds: ['fault unknown-operator'],
    problem: /^the operator NoSuchOperator of the domain ai\.onnx is not in opset 17/,
    fix: /^export the model with an opset that has it, or without it$/,
  },
  {
    title: 'an opset that is too new is named, with the newest that is taken',
    files: {
      'model.onnx': model({
        name: 'new',
        opset: 99,
        nodes: [node('Relu', ['x'], ['y'])],
        inputs: [value('x', 'float32', ['N', 1])],
        outputs: [value('y', 'float32', ['N', 1])],
      }),
    },
    kinds: ['fault too-new'],
    problem: /^the model needs opset 99 of ai\.onnx, this server's onnxruntime takes up to \d+$/,
    fix: /^export it with opset_version=\d+ or lower$/,
  },
  {
    title: 'a custom operator is named with its domain',
    files: {
      'model.onnx': model({
        name: 'custom',
        opsets: { 'my.ops': 1 },
        nodes: [node('Foo', ['x'], ['y'], {}, { domain: 'my.ops' })],
        inputs: [value('x', 'float32', ['N', 1])],
        outputs: [value('y', 'float32', ['N', 1])],
      }),
    },
    kinds: ['fault custom-operator'],
    problem: /the operator Foo of the domain my\.ops/,
    fix: /^this server loads no custom operators: export the model with operators of ai\.onnx/,
  },
  {
    title: 'a bfloat16 input is named, with the dtype to export',
    files: {
      'model.onnx': model({
        name: 'bfloat16',
        nodes: [cast('x', 'y', 'float32')],
        inputs: [value('x', 'bfloat16', ['N', 4])],
        outputs: [value('y', 'float32', ['N', 4])],
      }),
    },
    kinds: ['fault dtype'],
    problem: /^input x is tensor\(bfloat16\), which onnxruntime-node cannot take$/,
    fix: /^export it as float32, with a Cast node/,
  },
  {
    title: 'an input that is a sequence is named',
    files: {
      'model.onnx': model({
        name: 'sequence',
        nodes: [node('SequenceAt', ['x', 'first'], ['y'])],
        initializers: [initializer('first', 'int64', [], [0])],
        inputs: [typedValue('x', sequenceType(tensorType('float32', ['N', 2])))],
        outputs: [value('y', 'float32', ['N', 2])],
      }),
    },
    kinds: ['fault sequence-or-map'],
    problem: /^input x is sequence of tensor\(float\), which onnxruntime-node cannot take$/,
    fix: /^export the model with a tensor for each element of it$/,
  },
  {
    title: 'an input that is a map is named, with what makes it one',
    files: {
      'model.onnx': model({
        name: 'map',
        mlOpset: 3,
        nodes: [node('DictVectorizer', ['x'], ['y'], { int64_vocabulary: [1n, 2n] }, { domain: 'ai.onnx.ml' })],
        inputs: [typedValue('x', mapType('int64', tensorType('float32', [])))],
        outputs: [value('y', 'float32', [1, 2])],
      }),
    },
    kinds: ['fault sequence-or-map'],
    problem: /^input x is map\(int64, float\), which onnxruntime-node cannot take$/,
    fix: /^export the model with a tensor in its place \(scikit-learn: without the DictVectorizer\)$/,
  },
  {
    title: 'an output that is a sequence is named',
    files: { 'model.onnx': sequenceOutput() },
    kinds: ['fault sequence-or-map'],
    problem: /^output \S+ is sequence of/,
    fix: /^export the model with/,
  },
  {
    title: 'a model.json that does not fit the model is named with its field',
    files: { 'model.onnx': iris, 'model.json': '{"output":"scores"}' },
    kinds: ['fault manifest'],
    problem: /model\.json: output: the model has no output scores; it has label, probabilities/,
  },
  {
    title: 'golden rows that come out differently are named',
    files: {
      'model.onnx': iris,
      'golden.json': '{"rows":[{"features":[5.1,3.5,1.4,0.2],"outputs":{"label":2}}]}',
    },
    kinds: ['fault golden'],
    problem: /golden\.json: rows\[0\]\.outputs\.label: element 0 came out as 0, expected 2/,
  },
];

for (const { title, files, kinds, problem, fix } of FAULTS) {
  test(`exit code 1: ${title}`, async (t) => {
    const found = await report(t, files);
    assert.deepEqual(found.kinds, kinds, JSON.stringify(found.findings));
    assert.equal(found.isGood, false);
    const [finding] = found.findings;
    if (problem !== undefined) assert.match(finding!.problem, problem);
    assert.match(finding!.fix ?? '', fix ?? /./);
    assert.ok(!finding!.problem.includes('/tmp'), 'the place is in the report already');
    assert.match(found.text, /: does not serve\n/);
    assert.doesNotMatch(found.text, /Cloud Run/);
  });
}

const SERVED: readonly Case[] = [
  {
    title: 'iris has nothing but its label of 64 bits',
    files: { 'model.onnx': iris },
    kinds: ['note int64'],
    problem: /^label has 64-bit integers/,
    fix: /BigInt/,
  },
  {
    title: "scikit-learn's default export has a ZipMap, which the server leaves out",
    files: { 'model.onnx': zipMap() },
    kinds: ['note zipmap', 'note int64'],
    problem: /^output probabilities is a ZipMap, .* with a column for each of 0, 1$/,
    fix: /options=\{'zipmap': False\}/,
  },
  {
    title: 'a net of one row is warned about, with the export that has a batch axis',
    files: { 'model.onnx': fixedBatch() },
    kinds: ['warning fixed-batch'],
    problem: /^the first dimension of input x is always 1: each request is a run of its own/,
    fix: /dynamic_axes=\{'x': \{0: 'batch'\}\}/,
  },
  {
    title: 'NonMaxSuppression keeps rows from sharing runs, and needs no fix',
    files: { 'model.onnx': DETECTORS.find(({ name }) => name.includes('selected indices'))!.model() },
    kinds: ['note not-joined', 'note int64'],
    problem: /do not share a run: operator NonMaxSuppression, node/,
    fix: /^none is needed/,
  },
  {
    title: 'rows that influence each other do not share runs',
    files: { 'model.onnx': rowsSeeEachOther() },
    kinds: ['note not-joined'],
    problem: /operator ReduceMean/,
  },
  {
    title: 'a model without inputs serves one request a run',
    files: {
      'model.onnx': model({
        name: 'constant',
        nodes: [node('Identity', ['c'], ['y'])],
        initializers: [initializer('c', 'float32', [2], [1, 2])],
        inputs: [],
        outputs: [value('y', 'float32', [2])],
      }),
    },
    kinds: ['note not-joined'],
    problem: /output y does not depend on the rows$/,
  },
  {
    title: 'an unknown rank is warned about',
    files: { 'model.onnx': noShape() },
    kinds: ['warning unknown-rank'],
    problem: /^the file does not give the rank of input x/,
    fix: /shape_inference/,
  },
  {
    title: 'an initializer that is an input as well is warned about',
    files: {
      'model.onnx': model({
        name: 'overridable',
        nodes: [node('MatMul', ['x', 'w'], ['y'])],
        initializers: [initializer('w', 'float32', [2, 1], [1, 2])],
        inputs: [value('x', 'float32', ['N', 2]), value('w', 'float32', [2, 1])],
        outputs: [value('y', 'float32', ['N', 1])],
      }),
    },
    kinds: ['warning initializer-inputs'],
    problem: /^1 initializer is also an input \(w\): callers cannot replace them/,
    fix: /keep_initializers_as_inputs=False/,
  },
  {
    title: 'int64 inputs and outputs are named',
    files: { 'model.onnx': twoOutputs() },
    kinds: ['note int64'],
    problem: /^x, i have 64-bit integers/,
  },
  {
    title: 'names that code has to quote are shown as they are quoted',
    files: { 'model.onnx': identity('float32', ['N', 4], { input: 'input.1', output: 'dense/out:0' }) },
    kinds: ['note names'],
    problem: /^"input\.1", "dense\/out:0" are names that code has to quote: features\["input\.1"\]$/,
  },
];

for (const { title, files, kinds, problem, fix } of SERVED) {
  test(`exit code 0: ${title}`, async (t) => {
    const found = await report(t, files);
    assert.deepEqual(found.kinds, kinds, JSON.stringify(found.findings));
    assert.equal(found.isGood, true);
    if (problem !== undefined) assert.match(found.findings[0]!.problem, problem);
    if (fix !== undefined) assert.match(found.findings[0]!.fix ?? '', fix);
    const warnings = kinds.filter((kind) => kind.startsWith('warning')).length;
    assert.match(found.text, warnings === 0 ? /: serves\n/ : /: serves, with 1 warning\n/);
    assert.match(found.text, /^Cloud Run needs 512Mi of memory$/m);
  });
}

test('a name of the file cannot write to the terminal', async (t) => {
  const { text } = await report(t, {
    'model.onnx': identity('float32', ['N', 1], { input: 'x\u001b[2J', output: 'y' }),
  });
  assert.ok(!text.includes('\u001b'));
  assert.match(text, /x\\u001b\[2J float32 \[rows, 1\]/);
});

test('the report says what the file has: opsets, producer, parameters, operators, inputs, outputs, and how rows share runs', async () => {
  const { json, lines } = await doctor(IRIS);
  const [{ name, version, file, batching, inputs }] = json.models as [(typeof json.models)[0]];
  assert.deepEqual(
    [name, version, inputs!.map((input) => `${input.name} ${input.dtype}`)],
    ['iris', '1', ['features float32']],
  );
  assert.deepEqual(file!.opsets, { 'ai.onnx': 17 });
  assert.deepEqual(file!.operators, { 'ai.onnx.Gemm': 1, 'ai.onnx.Softmax': 1, 'ai.onnx.ArgMax': 1 });
  assert.deepEqual([file!.parameters, file!.producer], [15, 'onnx-cloud-run']);
  assert.deepEqual([batching!.enabled, batching!.decided_by], [true, 'proof']);
  const text = lines.join('\n');
  for (const line of [
    /^iris 1: serves$/m,
    /^ {2}file {8}.*models\/iris\/model\.onnx, 354 bytes$/m,
    /^ {2}format {6}opset ai\.onnx 17; IR version 8$/m,
    /^ {2}parameters {2}15$/m,
    /^ {2}inputs {6}features float32 \[rows, 4\]$/m,
    /^ {2}outputs {5}label int64 \[rows\]$/m,
    /^ {14}probabilities float32 \[rows, 3\]$/m,
    /^ {2}rows {8}share runs, by proof: every operator of the graph keeps rows apart$/m,
  ])
    assert.match(text, line);
});
