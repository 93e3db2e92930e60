import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openSession, type Session } from '../../functions/engine/session.ts';
import { DTYPES, type DType, type TensorData } from '../../functions/engine/tensor.ts';
import { mapType, model, node, sequenceType, tensorType, typedValue, value } from '../../functions/onnx/build.ts';
import {
  externalWeights,
  identity,
  manyInputs,
  twoOutputs,
  unknownOperator,
  writeModel,
  zipMap,
} from '../helpers/models.ts';
import { float32 } from '../helpers/tensors.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'session-'));
after(() => rmSync(folder, { recursive: true }));

function open(name: string, bytes: Uint8Array): Promise<Session> {
  const path = join(writeModel(folder, name, bytes), 'model.onnx');
  return openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'] });
}

const SCORES = sequenceType(mapType('int64', tensorType('float32', [])));

test('the signature has the names, dtypes and shapes of the model, with -1 for what the caller chooses', async () => {
  assert.deepEqual((await open('two-outputs', twoOutputs())).signature, {
    inputs: [
      { name: 'x', dtype: 'int64', shape: [-1, 1] },
      { name: 'z', dtype: 'float64', shape: [-1, 2] },
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
  test(`${dtype} goes through onnxruntime and keeps every bit`, async () => {
    const session = await open(dtype, identity(dtype));
    assert.equal(session.signature.inputs[0]!.dtype, dtype);
    const data = SAMPLES[dtype];
    const [output] = await session.run([{ slot: 0, dtype, dims: [1, 4], data }]);
    assert.deepEqual({ ...output, dims: [...output!.dims] }, { slot: 0, dtype, dims: [1, 4], data });
  });
}

test('every output comes in the order of the signature, whatever the order of the feeds', async () => {
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

test('outputs that are no tensors are left out and named', async () => {
  const session = await open('zip-map', zipMap());
  assert.deepEqual(session.skipped, ['probabilities']);
  assert.deepEqual(
    session.signature.outputs.map(({ name }) => name),
    ['label'],
  );
  const [label] = await session.run([{ slot: 0, ...float32([2, 2], [1, 5, 5, 1]) }]);
  assert.deepEqual(label!.data, BigInt64Array.of(1n, 0n));
});

test('a model without a tensor among its outputs is refused, with what to do about it', async () => {
  const bytes = model({
    name: 'maps-alone',
    nodes: [node('ZipMap', ['x'], ['scores'], { classlabels_int64s: [0n, 1n] }, { domain: 'ai.onnx.ml' })],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [typedValue('scores', SCORES)],
    mlOpset: 3,
  });
  await assert.rejects(open('maps-alone', bytes), /no output is a tensor: scores; .*zipmap=False/);
});

test('a model that takes anything but tensors is refused by the name of that input', async () => {
  const bytes = model({
    name: 'sequence-in',
    nodes: [node('SequenceLength', ['list'], ['length'])],
    inputs: [typedValue('list', sequenceType(tensorType('float32', ['N'])))],
    outputs: [value('length', 'int64', [])],
  });
  await assert.rejects(open('sequence-in', bytes), /input list is not a tensor/);
});

test("a file that onnxruntime refuses ends with onnxruntime's own text", async () => {
  await assert.rejects(open('unknown', unknownOperator()), /NoSuchOperator/);
  await assert.rejects(open('broken', Buffer.from('no model')), /protobuf|parsing/i);
});

test('weights beside the model file are found', async () => {
  const { model: bytes, data, location } = externalWeights();
  writeFileSync(join(writeModel(folder, 'external', bytes), location), data);
  const [output] = await (await open('external', bytes)).run([{ slot: 0, ...float32([1, 2], [1, 2]) }]);
  assert.deepEqual(output!.data, Float32Array.of(10, 20));
});
