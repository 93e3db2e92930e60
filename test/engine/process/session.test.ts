import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { loadRuntime, NativeTensor } from '../../../functions/engine/process/runtime.ts';
import { openSession, type Session } from '../../../functions/engine/process/session.ts';
import { DATA_TYPES, type DataTypeName } from '../../../functions/onnx/data-type.ts';
import {
  initializer,
  model,
  node,
  sequenceType,
  tensorType,
  typedValue,
  value,
} from '../../../functions/onnx/proto/build.ts';
import { type NodeProto, type TypeProto, TypeProtoSchema } from '../../../functions/onnx/proto/onnx_pb.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { writeModel as encodeModel } from '../../../functions/onnx/proto/write.ts';
import { DTYPES, type DType, type TensorData } from '../../../functions/tensor/tensor.ts';
import {
  classifier,
  multiOutputClassifier,
  oddNames,
  scoreMaps,
  sequenceOutput,
  zipMapNode,
} from '../../helpers/exported-models.ts';
import {
  externalWeights,
  identity,
  manyInputs,
  noShape,
  twoOutputs,
  unknownOperator,
  writeModel,
} from '../../helpers/models.ts';
import { float32 } from '../../helpers/tensors.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'session-'));
after(() => rmSync(folder, { recursive: true }));

const writeModelFolder = (name: string, bytes: Uint8Array): string => writeModel(folder, name, bytes);

function open(name: string, bytes: Uint8Array): Promise<Session> {
  const path = join(writeModelFolder(name, bytes), 'model.onnx');
  return openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
}

test('the signature has the names, dtypes and shapes of the model, with -1 for dimensions that the caller chooses', async () => {
  assert.deepEqual((await open('two-outputs', twoOutputs())).signature, {
    inputs: [
      { name: 'x', dtype: 'int64', shape: [-1, 1], dimNames: ['N', null] },
      { name: 'z', dtype: 'float64', shape: [-1, 2], dimNames: ['N', null] },
    ],
    outputs: [
      { name: 'i', dtype: 'int64', shape: [-1, 1] },
      { name: 'r', dtype: 'float64', shape: [-1] },
    ],
  });
  assert.deepEqual(
    (await open('many-inputs', manyInputs())).signature.inputs.map(({ name, dtype }) => [name, dtype]),
    [
      ['age', 'float32'],
      ['city', 'string'],
    ],
  );
});

const SAMPLES: Record<DType, TensorData> = {
  float16: Uint16Array.of(0x3c00, 0xc000, 0x7c00, 0x0001),
  float32: Float32Array.of(1.5, -0, Number.NEGATIVE_INFINITY, 1e-45),
  float64: Float64Array.of(1 / 3, -0, Number.POSITIVE_INFINITY, 5e-324),
  int8: Int8Array.of(-128, 127, 0, -1),
  int16: Int16Array.of(-32_768, 32_767, 0, -1),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, -1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 9_007_199_254_740_993n, -1n),
  uint8: Uint8Array.of(0, 255, 1, 2),
  uint16: Uint16Array.of(0, 65_535, 1, 2),
  uint32: Uint32Array.of(0, 2 ** 32 - 1, 1, 2),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n, 1n, 2n),
  bool: Uint8Array.of(0, 1, 1, 0),
  string: ['', 'Ås', '日本', 'a"\n'],
};

for (const dtype of Object.keys(DTYPES) as DType[]) {
  test(`${dtype} passes onnxruntime and keeps every bit`, async () => {
    const session = await open(dtype, identity(dtype));
    assert.equal(session.signature.inputs[0]!.dtype, dtype);
    const data = SAMPLES[dtype];
    const [output] = await session.run([{ slot: 0, dtype, dims: [1, 4], data }]);
    assert.deepEqual({ ...output, dims: [...output!.dims] }, { slot: 0, dtype, dims: [1, 4], data });
  });
}

test('outputs have the order of the signature, in any order of the feeds', async () => {
  const session = await open('order', twoOutputs());
  const outputs = await session.run([
    { slot: 1, dtype: 'float64', dims: [2, 2], data: Float64Array.of(1, 2, 3, 4) },
    { slot: 0, dtype: 'int64', dims: [2, 1], data: BigInt64Array.of(9_007_199_254_740_992n, -1n) },
  ]);
  assert.deepEqual(
    outputs.map(({ slot, data }) => [slot, data]),
    [
      [0, BigInt64Array.of(9_007_199_254_740_993n, 0n)],
      [1, Float64Array.of(3, 7)],
    ],
  );
});

/** What a ZipMap makes maps of is the row's scores, in the order of the labels: ai.onnx.ml's ZipMap-1. */
const PROBABILITIES = [1 / (1 + Math.E), Math.E / (1 + Math.E)];

const CLASSIFIERS = [
  { labels: ['no', 'yes'], of: 'string', dtype: 'string', chosen: ['yes', 'no'] },
  { labels: [3, 7], of: 'int64', dtype: 'int64', chosen: BigInt64Array.of(7n, 3n) },
] as const;
for (const { labels, of, dtype, chosen } of CLASSIFIERS) {
  test(`a classifier with ${of} labels gives its probabilities as a tensor, and its labels`, async () => {
    const session = await open(`labels-${of}`, classifier([...labels] as string[]));
    assert.deepEqual(session.patched, [{ output: 'output_probability', labels: labels.map(String), of }]);
    assert.deepEqual(session.signature.outputs, [
      { name: 'output_label', dtype, shape: [-1] },
      { name: 'output_probability', dtype: 'float32', shape: [-1, 2] },
    ]);
    const [label, scores] = await session.run([{ slot: 0, ...float32([2, 2], [0, 1, 1, 0]) }]);
    assert.deepEqual(label!.data, chosen);
    assert.deepEqual(scores!.dims, [2, 2]);
    const [no, yes] = PROBABILITIES as [number, number];
    for (const [i, score] of [no, yes, yes, no].entries()) assert.ok(Math.abs(Number(scores!.data[i]) - score) < 1e-6);
  });
}

test('the bytes of a patched model are freed when it is loaded', async () => {
  const bytes = readModel(classifier([3, 7]), 'large');
  bytes.graph!.initializer.push(initializer('unused', 'uint8', [40_000_000], new Uint8Array(40_000_000)));
  const path = join(writeModelFolder('large', encodeModel(bytes)), 'model.onnx');
  const before = process.memoryUsage().arrayBuffers;
  await openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
  assert.ok(process.memoryUsage().arrayBuffers - before < 10e6);
});

test('a model that needs no patch is loaded as it is', async () => {
  const { patched, external } = await open('tensors', identity());
  assert.deepEqual([patched, external], [[], []]);
});

test('outputs that are not tensors and cannot become tensors are refused by name and type', async () => {
  await assert.rejects(open('sequence', sequenceOutput()), {
    code: 'MODEL_FAILED',
    message:
      /sequence\/model\.onnx: output parts is sequence of tensor\(float\), which onnxruntime-node cannot return: /,
  });
  const untyped = readModel(sequenceOutput(), 'untyped');
  delete untyped.graph!.output[0]!.type;
  await assert.rejects(open('untyped', encodeModel(untyped)), {
    code: 'MODEL_FAILED',
    message:
      /untyped\/model\.onnx: output parts is of a type that the file leaves open, which onnxruntime-node cannot return/,
  });
});

test('no operator can read the maps of a ZipMap, so that removing them affects no node', async () => {
  const bytes = (reader: NodeProto, output: string) =>
    model({
      name: 'read-maps',
      nodes: [zipMapNode('x', 'maps', [0, 1]), reader],
      inputs: [value('x', 'float32', ['N', 2])],
      outputs: [value(output, 'int64', [])],
      mlOpset: 3,
    });
  const invalid = /^Error: the operator \w+ does not take maps, which is seq\(map\(int64,tensor\(float\)\)\): /;
  await assert.rejects(open('length', bytes(node('SequenceLength', ['maps'], ['n']), 'n')), invalid);
  await assert.rejects(open('identity-of-maps', bytes(node('Identity', ['maps'], ['same']), 'same')), invalid);
});

test('a model with an input that is not a tensor is refused with the name of the input', async () => {
  const bytes = model({
    name: 'sequence-in',
    nodes: [node('SequenceLength', ['list'], ['length'])],
    inputs: [typedValue('list', sequenceType(tensorType('float32', ['N'])))],
    outputs: [value('length', 'int64', [])],
  });
  await assert.rejects(open('sequence-in', bytes), {
    code: 'MODEL_FAILED',
    message:
      /sequence-in\/model\.onnx: input list is sequence of tensor\(float\), which onnxruntime-node cannot take: export/,
  });
});

const NOT_CARRIED: DataTypeName[] = [
  'bfloat16',
  'float8e4m3fn',
  'float8e5m2',
  'float4e2m1',
  'int4',
  'uint4',
  'complex64',
  'complex128',
];
for (const dtype of NOT_CARRIED) {
  test(`an input and an output of ${dtype} are refused by name, with what to do`, async () => {
    const cast = (to: DataTypeName) => [node('Cast', ['x'], ['y'], { to: BigInt(DATA_TYPES[to]) })];
    const parts = { opset: 21, irVersion: 10, name: dtype };
    const [input, output] = [value('x', dtype, ['N']), value('y', dtype, ['N'])];
    const plain = { input: value('x', 'float32', ['N']), output: value('y', 'float32', ['N']) };
    const taken = model({ ...parts, nodes: cast('float32'), inputs: [input], outputs: [plain.output] });
    await assert.rejects(open(`in-${dtype}`, taken), {
      code: 'MODEL_FAILED',
      message: new RegExp(`model\\.onnx: input x is tensor\\(${dtype}\\), which onnxruntime-node cannot take: export`),
    });
    const given = model({ ...parts, nodes: cast(dtype), inputs: [plain.input], outputs: [output] });
    await assert.rejects(open(`out-${dtype}`, given), {
      code: 'MODEL_FAILED',
      message: new RegExp(
        `model\\.onnx: output y is tensor\\(${dtype}\\), which onnxruntime-node cannot return: export`,
      ),
    });
  });
}

test('a model without an output is refused', async () => {
  const bytes = model({ name: 'silent', nodes: [], inputs: [value('x', 'float32', ['N'])], outputs: [] });
  await assert.rejects(open('silent', bytes), {
    code: 'MODEL_FAILED',
    message: /silent\/model\.onnx: .* it has no output/,
  });
});

test('optional and sparse inputs are refused by name and type', async () => {
  const reading = (operator: string, type: TypeProto) =>
    model({
      name: operator,
      nodes: [node(operator, ['x'], ['y'])],
      inputs: [typedValue('x', type)],
      outputs: [value('y', 'float32', ['N'])],
    });
  const optional = create(TypeProtoSchema, {
    value: { case: 'optionalType', value: { elemType: tensorType('float32') } },
  });
  await assert.rejects(
    open('optional', reading('OptionalGetElement', optional)),
    /input x is optional tensor\(float\), .* export it as the tensor itself/,
  );
  const sparse = create(TypeProtoSchema, { value: { case: 'sparseTensorType', value: { elemType: 1 } } });
  await assert.rejects(
    open('sparse', reading('Identity', sparse)),
    /input x is sparse tensor\(float\), .* export it as a dense tensor/,
  );
});

test('a classifier of float64 gives its probabilities as float64', async () => {
  const session = await open('double', classifier([3, 7], 'float64'));
  assert.deepEqual(session.signature.outputs[1], { name: 'output_probability', dtype: 'float64', shape: [-1, 2] });
  const [, scores] = await session.run([{ slot: 0, dtype: 'float64', dims: [1, 2], data: Float64Array.of(0, 1) }]);
  for (const [i, score] of PROBABILITIES.entries()) assert.ok(Math.abs(Number(scores!.data[i]) - score) < 1e-12);
});

test("a sequence of several classifiers' probabilities becomes a tensor for each of them", async () => {
  const session = await open('multi-output', multiOutputClassifier());
  assert.deepEqual(
    session.signature.outputs.map(({ name, shape }) => [name, shape]),
    [
      ['label', [-1, 2]],
      ['probabilities_0', [-1, 2]],
      ['probabilities_1', [-1, 2]],
    ],
  );
  const [, first, second] = await session.run([{ slot: 0, ...float32([1, 2], [0, 1]) }]);
  assert.ok(Math.abs(Number(first!.data[1]) - PROBABILITIES[1]!) < 1e-6);
  assert.ok(Math.abs(Number(second!.data[1]) - PROBABILITIES[0]!) < 1e-6);
});

test('an input or output whose rank the file leaves open is distinguished from a scalar, and takes any rank', async () => {
  const open_ = { name: 'x', dtype: 'float32', shape: [], anyRank: true };
  const session = await open('no-shape', noShape());
  assert.deepEqual(session.signature, { inputs: [open_], outputs: [{ ...open_, name: 'y' }] });
  for (const dims of [[], [3], [2, 1, 2]]) {
    const data = new Float32Array(dims.reduce((count, dim) => count * dim, 1)).fill(2);
    const [output] = await session.run([{ slot: 0, dtype: 'float32', dims, data }]);
    assert.deepEqual([output!.dims, output!.data], [dims, data.map((one) => 2 * one)]);
  }
  assert.deepEqual((await open('scalar', identity('float32', []))).signature.inputs, [
    { name: 'x', dtype: 'float32', shape: [] },
  ]);
  // What onnxruntime finds out is as good as what the file gives.
  const found = model({
    name: 'found',
    nodes: [node('Identity', ['x'], ['y'])],
    inputs: [value('x', 'float32', ['N', 3])],
    outputs: [value('y', 'float32')],
  });
  assert.deepEqual((await open('found', found)).signature.outputs, [{ name: 'y', dtype: 'float32', shape: [-1, 3] }]);
});

test('a run whose output is missing or not of the declared dtype fails, and the next one succeeds', async (t) => {
  const binding = loadRuntime() as { InferenceSession: ReturnType<typeof loadRuntime>['InferenceSession'] };
  const { InferenceSession } = binding;
  const given: Record<string, NativeTensor>[] = [{ y: new NativeTensor('int64', BigInt64Array.of(1n), [1, 1]) }, {}];
  binding.InferenceSession = class extends (InferenceSession as new () => object) {
    run(...call: unknown[]): unknown {
      const own = InferenceSession.prototype as { run(...call: unknown[]): unknown };
      return given.shift() ?? own.run.apply(this, call);
    }
  } as typeof InferenceSession;
  t.after(() => {
    binding.InferenceSession = InferenceSession;
  });
  const session = await open('odd', identity('float32', ['N', 1]));
  const run = () => session.run([{ slot: 0, ...float32([1, 1], [5]) }]);
  await assert.rejects(run(), { message: 'output y is int64 in this run, but float32 in the model' });
  await assert.rejects(run(), { message: 'output y is missing in this run, but float32 in the model' });
  assert.deepEqual((await run())[0]!.data, Float32Array.of(5));
});

test('an input may be named __proto__', async () => {
  const session = await open('proto', identity('float32', ['N', 1], { input: '__proto__', output: 'y' }));
  const [output] = await session.run([{ slot: 0, ...float32([1, 1], [5]) }]);
  assert.deepEqual(output!.data, Float32Array.of(5));
});

test("a file that onnxruntime refuses fails with onnxruntime's text, one that is not ONNX before that", async () => {
  await assert.rejects(open('unknown', unknownOperator()), /NoSuchOperator/);
  await assert.rejects(open('broken', Buffer.from('no model')), /expected an ONNX model, but found text: "no model"/);
});

test('weights beside the model file are found, also in a folder, with and without a patch of the model', async () => {
  for (const [name, location] of Object.entries({ beside: 'model.onnx.data', below: 'weights/w 1.bin' })) {
    const { model: bytes, data } = externalWeights(location);
    const folder = writeModelFolder(name, bytes);
    mkdirSync(dirname(join(folder, location)), { recursive: true });
    writeFileSync(join(folder, location), data);
    const plain = await open(name, bytes);
    assert.deepEqual(plain.external, [location]);
    const [output] = await plain.run([{ slot: 0, ...float32([1, 2], [1, 2]) }]);
    assert.deepEqual(output!.data, Float32Array.of(10, 20));

    const patched = await open(name, zipped(bytes));
    assert.deepEqual([patched.external, patched.patched.length], [[location], 1]);
    const outputs = await patched.run([{ slot: 0, ...float32([1, 2], [1, 2]) }]);
    assert.deepEqual(outputs[1]!.data, Float32Array.of(10, 20));
  }
});

/** The model with another output: a ZipMap of its output `y`. */
function zipped(bytes: Uint8Array): Uint8Array {
  const parsed = readModel(bytes, 'zipped');
  parsed.opsetImport.push({ $typeName: 'onnx.OperatorSetIdProto', domain: 'ai.onnx.ml', version: 3n });
  parsed.graph!.node.push(zipMapNode('y', 'maps', [0, 1]));
  parsed.graph!.output.push(typedValue('maps', scoreMaps('int64')));
  return encodeModel(parsed);
}

test('names with slashes, dots, colons and spaces are the names of the signature', async () => {
  const session = await open('odd-names', oddNames());
  assert.deepEqual(
    [...session.signature.inputs, ...session.signature.outputs].map(({ name }) => name),
    ['net/in put.0:0', 'net/out put.0:0'],
  );
  const [output] = await session.run([{ slot: 0, ...float32([1, 2], [1, 2]) }]);
  assert.deepEqual(output!.data, Float32Array.of(2, 4));
});

test('a model truncated anywhere is refused or, if it is cut between two parts, loads; the process stays alive', async () => {
  const models = [identity(), classifier([3, 7]), oddNames()];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...models), fc.nat(), async (bytes, cut) => {
      try {
        await open('cut', bytes.subarray(0, cut % bytes.length));
      } catch (error) {
        assert.ok(error instanceof Error && error.message !== '', String(error));
      }
    }),
    { numRuns: 200 },
  );
});
