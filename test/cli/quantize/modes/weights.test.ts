import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockWeightOptions, createWeightsMode } from '../../../../functions/cli/quantize/modes/weights.ts';
import { initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import { createQuantizer, differences, floats, linesOf, wave, weightsOf } from '../../../helpers/quantize/quantize.ts';

const quantize = createQuantizer('weights-');
const modeOf = (options: Partial<BlockWeightOptions> = {}) =>
  createWeightsMode({ bits: 4, blockSize: 32, isSymmetric: false, ...options });
const weight = (name: string, ...dims: number[]) =>
  initializer(name, 'float32', dims, wave(dims.reduce((a, b) => a * b, 1)));

/** A MatMul of W and a Gemm of V, transposed, with a bias. */
const MODEL = model({
  name: 'g',
  inputs: [value('x', 'float32', ['rows', 70])],
  outputs: [value('y', 'float32', ['rows', 3])],
  initializers: [weight('W', 70, 40), weight('V', 3, 40), weight('b', 3)],
  nodes: [
    node('MatMul', ['x', 'W'], ['h'], {}, { name: 'fc' }),
    node('Gemm', ['h', 'V', 'b'], ['y'], { transB: 1n }, { name: 'head' }),
  ],
});

test('the operators, names, shapes and attributes are those of MatMulNBitsQuantizer of onnxruntime', async () => {
  const made = await quantize(MODEL, modeOf());
  assert.deepEqual(linesOf(made.graph), [
    'fc_Q4: MatMulNBits(x, W_Q4, W_scales, W_zero_points) -> h',
    'head_MatMul_Q4: MatMulNBits(h, V_Q4, V_scales, V_zero_points) -> y_MatMul',
    'head_Add: Add(y_MatMul, b) -> y',
  ]);
  // TensorProto.DataType: FLOAT = 1, UINT8 = 2. Columns of 70 elements have 3 blocks of 16 bytes, and 2 bytes of zero points.
  assert.deepEqual(weightsOf(made.graph), [
    'V_Q4: 2 [3,2,16]',
    'V_scales: 1 [6]',
    'V_zero_points: 2 [3]',
    'W_Q4: 2 [40,3,16]',
    'W_scales: 1 [120]',
    'W_zero_points: 2 [80]',
    'b: 1 [3]',
  ]);
  const attributes = made.graph.node[0]!.attribute.map(({ name, i }) => [name, i]);
  assert.deepEqual(attributes, [
    ['K', 70n],
    ['N', 40n],
    ['bits', 4n],
    ['block_size', 32n],
  ]);
  assert.deepEqual(
    made.proto.opsetImport.map(({ domain }) => domain),
    ['', 'com.microsoft'],
  );
  assert.ok((await differences(made, [floats(5, 70)]))[0]! < 0.2);
});

test('8 bits, a symmetric quantization, another size of blocks and the accuracy level are as chosen', async () => {
  const made = await quantize(MODEL, modeOf({ bits: 8, isSymmetric: true, blockSize: 16, accuracyLevel: 4 }));
  assert.equal(linesOf(made.graph)[0], 'fc_Q8: MatMulNBits(x, W_Q8, W_scales) -> h');
  assert.ok(weightsOf(made.graph).includes('W_Q8: 2 [40,5,16]'));
  const attributes = Object.fromEntries(made.graph.node[0]!.attribute.map(({ name, i }) => [name, Number(i)]));
  assert.deepEqual(attributes, { K: 70, N: 40, bits: 8, block_size: 16, accuracy_level: 4 });
  assert.ok((await differences(made, [floats(5, 70)]))[0]! < 0.02);
});

test('a shared weight is packed once', async () => {
  const made = await quantize(
    model({
      name: 'g',
      inputs: [value('x', 'float32', ['rows', 40])],
      outputs: [value('y', 'float32', ['rows', 40])],
      initializers: [weight('W', 40, 40)],
      nodes: [
        node('MatMul', ['x', 'W'], ['h'], {}, { name: 'a' }),
        node('MatMul', ['h', 'W'], ['y'], {}, { name: 'b' }),
      ],
    }),
    modeOf(),
  );
  assert.deepEqual(weightsOf(made.graph), ['W_Q4: 2 [40,2,16]', 'W_scales: 1 [80]', 'W_zero_points: 2 [40]']);
});

test('a weight that blocks would not make smaller, and one of three axes, stay with a reason', async () => {
  const { report } = await quantize(
    model({
      name: 'g',
      inputs: [value('x', 'float32', [2, 3, 40])],
      outputs: [value('y', 'float32')],
      initializers: [weight('W', 40, 4), weight('S', 4, 40), weight('B', 2, 40, 3)],
      nodes: [
        node('MatMul', ['x', 'W'], ['a'], {}, { name: 'packed' }),
        node('MatMul', ['a', 'S'], ['b'], {}, { name: 'short' }),
        node('MatMul', ['b', 'B'], ['y'], {}, { name: 'batch' }),
      ],
    }),
    modeOf(),
  );
  assert.deepEqual(
    report.changed.map(({ name }) => name),
    ['packed'],
  );
  assert.deepEqual(
    report.kept.map(({ reason }) => reason),
    ['its weight S is too small for blocks of 32', 'its weight B has 3 axes, and MatMulNBits takes 2'],
  );
});
