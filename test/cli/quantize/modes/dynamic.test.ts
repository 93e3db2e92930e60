import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createDynamicMode } from '../../../../functions/cli/quantize/modes/dynamic/dynamic.ts';
import { openModel } from '../../../../functions/onnx/edit/open-model.ts';
import { writeModel as writeEdited } from '../../../../functions/onnx/edit/write-model.ts';
import { attribute } from '../../../../functions/onnx/proto/attribute.ts';
import { graph, initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../../functions/onnx/proto/read.ts';
import { writeModel } from '../../../../functions/onnx/proto/write.ts';
import { createQuantizer, differences, floats, linesOf, wave, weightsOf } from '../../../helpers/quantize/quantize.ts';

const quantize = createQuantizer('dynamic-');
const DYNAMIC = createDynamicMode({ isPerChannel: true, isReduced: false });
const X = value('x', 'float32', ['rows', 4]);
const Y = value('y', 'float32', ['rows', 3]);
const weight = (name: string, ...dims: number[]) =>
  initializer(name, 'float32', dims, wave(dims.reduce((a, b) => a * b, 1)));

describe('the operators, names and types are those of quantize_dynamic of onnxruntime', () => {
  test('a MatMul', async () => {
    const {
      graph: made,
      path,
      ...rest
    } = await quantize(
      model({
        name: 'g',
        inputs: [X],
        outputs: [Y],
        initializers: [weight('W', 4, 3)],
        nodes: [node('MatMul', ['x', 'W'], ['y'], {}, { name: 'fc' })],
      }),
      DYNAMIC,
    );
    assert.deepEqual(linesOf(made), [
      'x_QuantizeLinear: DynamicQuantizeLinear(x) -> x_quantized, x_scale, x_zero_point',
      'fc_quant: MatMulInteger(x_quantized, W_quantized, x_zero_point, W_zero_point) -> y_output_quantized',
      'y_output_quantized_cast: Cast(y_output_quantized) -> y_output_quantized_cast_output',
      'fc_quant_scales_mul: Mul(x_scale, W_scale) -> fc_quant_scales_mul:0',
      'fc_quant_output_scale_mul: Mul(y_output_quantized_cast_output, fc_quant_scales_mul:0) -> y',
    ]);
    // TensorProto.DataType: FLOAT = 1, INT8 = 3.
    assert.deepEqual(weightsOf(made), ['W_quantized: 3 [4,3]', 'W_scale: 1 [3]', 'W_zero_point: 3 [3]']);
    const [difference] = await differences({ path, original: rest.original }, [floats(5, 4)]);
    assert.ok(difference! < 0.02, `${difference}`);
  });

  test('a Gemm of transposed weights with a bias, and one without a name', async () => {
    const made = await quantize(
      model({
        name: 'g',
        inputs: [X],
        outputs: [Y],
        initializers: [weight('W', 6, 4), weight('b', 6), weight('V', 6, 3)],
        nodes: [node('Gemm', ['x', 'W', 'b'], ['h'], { transB: 1n }, { name: 'fc' }), node('Gemm', ['h', 'V'], ['y'])],
      }),
      DYNAMIC,
    );
    assert.deepEqual(linesOf(made.graph), [
      'x_QuantizeLinear: DynamicQuantizeLinear(x) -> x_quantized, x_scale, x_zero_point',
      'fc_MatMul_quant: MatMulInteger(x_quantized, W_quantized, x_zero_point, W_zero_point) -> h_MatMul_output_quantized',
      'h_MatMul_output_quantized_cast: Cast(h_MatMul_output_quantized) -> h_MatMul_output_quantized_cast_output',
      'fc_MatMul_quant_scales_mul: Mul(x_scale, W_scale) -> fc_MatMul_quant_scales_mul:0',
      'fc_MatMul_quant_output_scale_mul: Mul(h_MatMul_output_quantized_cast_output, fc_MatMul_quant_scales_mul:0) -> h_MatMul',
      'fc_Add: Add(h_MatMul, b) -> h',
      'h_QuantizeLinear: DynamicQuantizeLinear(h) -> h_quantized, h_scale, h_zero_point',
      '-: MatMulInteger(h_quantized, V_quantized, h_zero_point, V_zero_point) -> y_output_quantized',
      'y_output_quantized_cast: Cast(y_output_quantized) -> y_output_quantized_cast_output',
      'h_scale_V_scale_mul: Mul(h_scale, V_scale) -> h_scale_V_scale_mul:0',
      '-: Mul(y_output_quantized_cast_output, h_scale_V_scale_mul:0) -> y',
    ]);
    assert.ok(weightsOf(made.graph).includes('W_quantized: 3 [4,6]'), 'the matrix is no longer transposed');
    assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.03);
  });

  test('a Conv with a bias', async () => {
    const made = await quantize(
      model({
        name: 'g',
        inputs: [value('x', 'float32', ['rows', 2, 5, 5])],
        outputs: [value('y', 'float32', ['rows', 3, 5, 5])],
        initializers: [weight('W', 3, 2, 3, 3), weight('b', 3)],
        nodes: [node('Conv', ['x', 'W', 'b'], ['y'], { pads: [1n, 1n, 1n, 1n] }, { name: 'conv' })],
      }),
      DYNAMIC,
    );
    assert.deepEqual(linesOf(made.graph), [
      'x_QuantizeLinear: DynamicQuantizeLinear(x) -> x_quantized, x_scale, x_zero_point',
      'conv_quant: ConvInteger(x_quantized, W_quantized, x_zero_point, W_zero_point) -> y_output_quantized',
      'y_output_quantized_cast: Cast(y_output_quantized) -> y_output_quantized_cast_output',
      'conv_quant_scales_mul: Mul(x_scale, W_scale) -> conv_quant_scales_mul:0',
      'conv_quant_output_scale_mul: Mul(y_output_quantized_cast_output, conv_quant_scales_mul:0) -> yquant_scaled_output',
      '-: Reshape(b, y_bias_reshape_shape) -> y_bias_reshape_output',
      'y_bias_add: Add(yquant_scaled_output, y_bias_reshape_output) -> y',
    ]);
    assert.ok(weightsOf(made.graph).includes('W_scale: 1 []'), 'a convolution has one scale');
    assert.ok((await differences(made, [floats(2, 2, 5, 5)]))[0]! < 0.03);
  });

  test('embeddings that a MatMul and an addition read', async () => {
    const made = await quantize(
      model({
        name: 'g',
        inputs: [value('ids', 'int64', ['rows'])],
        outputs: [Y, value('z', 'float32', ['rows', 4])],
        initializers: [weight('E', 10, 4), weight('W', 4, 3), weight('b', 4)],
        nodes: [
          node('Gather', ['E', 'ids'], ['e'], {}, { name: 'lookup' }),
          node('MatMul', ['e', 'W'], ['y'], {}, { name: 'fc' }),
          node('Add', ['e', 'b'], ['z']),
        ],
      }),
      DYNAMIC,
    );
    assert.deepEqual(
      linesOf(made.graph).filter((line) => !/Cast|Mul\(/.test(line)),
      [
        'lookup: Gather(E_quantized, ids) -> e_quantized',
        'fc_quant: MatMulInteger(e_quantized, W_quantized, E_zero_point, W_zero_point) -> y_output_quantized',
        'e_DequantizeLinear: DequantizeLinear(e_quantized, E_scale, E_zero_point) -> e',
        '-: Add(e, b) -> z',
      ],
    );
    const ids = { dtype: 'int64' as const, dims: [3], data: BigInt64Array.of(1n, 7n, 9n) };
    for (const difference of await differences(made, [ids])) assert.ok(difference < 0.03, `${difference}`);
  });

  test('an LSTM of both directions', async () => {
    const [directions, hidden, inputs] = [2, 3, 4];
    const made = await quantize(
      model({
        name: 'g',
        inputs: [value('x', 'float32', ['steps', 'rows', inputs])],
        outputs: [value('y', 'float32', ['steps', directions, 'rows', hidden])],
        initializers: [
          weight('W', directions, 4 * hidden, inputs),
          weight('R', directions, 4 * hidden, hidden),
          weight('B', directions, 8 * hidden),
        ],
        nodes: [
          node('LSTM', ['x', 'W', 'R', 'B'], ['y'], { hidden_size: 3n, direction: 'bidirectional' }, { name: 'lstm' }),
        ],
      }),
      DYNAMIC,
    );
    assert.deepEqual(linesOf(made.graph), [
      'lstm_quant: DynamicQuantizeLSTM(x, W_quantized, R_quantized, B, , , , , W_scale, W_zero_point, R_scale, R_zero_point) -> y',
    ]);
    assert.deepEqual(weightsOf(made.graph), [
      'B: 1 [2,24]',
      'R_quantized: 3 [2,3,12]',
      'R_scale: 1 [2,12]',
      'R_zero_point: 3 [2,12]',
      'W_quantized: 3 [2,4,12]',
      'W_scale: 1 [2,12]',
      'W_zero_point: 3 [2,12]',
    ]);
    assert.ok(made.proto.opsetImport.some(({ domain }) => domain === 'com.microsoft'));
    assert.ok((await differences(made, [floats(3, 2, inputs)]))[0]! < 0.05);
  });

  test('an Attention of onnxruntime', async () => {
    const made = await quantize(
      model({
        name: 'g',
        opsets: { 'com.microsoft': 1 },
        inputs: [value('x', 'float32', ['rows', 'words', 8])],
        outputs: [value('y', 'float32', ['rows', 'words', 8])],
        initializers: [weight('W', 8, 24), weight('b', 24)],
        nodes: [node('Attention', ['x', 'W', 'b'], ['y'], { num_heads: 2n }, { name: 'att', domain: 'com.microsoft' })],
      }),
      DYNAMIC,
    );
    assert.deepEqual(linesOf(made.graph), [
      'x_QuantizeLinear: DynamicQuantizeLinear(x) -> x_quantized, x_scale, x_zero_point',
      'att_quant: QAttention(x_quantized, W_quantized, b, x_scale, W_scale, , x_zero_point, W_zero_point, ) -> y',
    ]);
    assert.ok((await differences(made, [floats(2, 3, 8)]))[0]! < 0.05);
  });
});

test('the scales of a weight are its largest magnitudes over 127, by column; or over 64, for the tensor', async () => {
  const bytes = model({
    name: 'g',
    inputs: [value('x', 'float32', ['rows', 2])],
    outputs: [value('y', 'float32', ['rows', 2])],
    initializers: [initializer('W', 'float32', [2, 2], [1, -8, 0.5, 4])],
    nodes: [node('MatMul', ['x', 'W'], ['y'])],
  });
  const scales = async (isPerChannel: boolean, isReduced: boolean) => {
    const { graph: made } = await quantize(bytes, createDynamicMode({ isPerChannel, isReduced }));
    const [data, scale] = ['W_quantized', 'W_scale'].map(
      (name) => made.initializer.find((one) => one.name === name)!.rawData,
    );
    return [[...new Int8Array(Uint8Array.from(data!).buffer)], [...new Float32Array(Uint8Array.from(scale!).buffer)]];
  };
  assert.deepEqual(await scales(true, false), [[127, -127, 64, 64], [1 / 127, 8 / 127].map(Math.fround)]);
  assert.deepEqual(await scales(false, true), [[8, -64, 4, 32], [0.125]]);
});

test('a weight that two nodes read is quantized once, and stays if another node reads it as floats', async () => {
  const { graph: made } = await quantize(
    model({
      name: 'g',
      inputs: [value('x', 'float32', ['rows', 4])],
      outputs: [value('y', 'float32', ['rows', 4])],
      initializers: [weight('W', 4, 4)],
      nodes: [
        node('MatMul', ['x', 'W'], ['a'], {}, { name: 'one' }),
        node('MatMul', ['a', 'W'], ['b'], {}, { name: 'two' }),
        node('MatMul', ['b', 'W'], ['c'], {}, { name: 'three' }),
        node('Relu', ['c'], ['y']),
      ],
    }),
    DYNAMIC,
    ({ name }) => name !== 'three',
  );
  assert.deepEqual(weightsOf(made), ['W: 1 [4,4]', 'W_quantized: 3 [4,4]', 'W_scale: 1 [4]', 'W_zero_point: 3 [4]']);
  assert.ok(linesOf(made).includes('three: MatMul(b, W) -> c'), 'one that is not selected stays');
});

test('one matrix, read as it is and transposed, has scales by the columns of each', async () => {
  const made = await quantize(
    model({
      name: 'g',
      inputs: [X],
      outputs: [value('y', 'float32', ['rows', 4])],
      initializers: [weight('W', 4, 3)],
      nodes: [node('MatMul', ['x', 'W'], ['h']), node('Gemm', ['h', 'W'], ['y'], { transB: 1n })],
    }),
    DYNAMIC,
  );
  assert.deepEqual(
    weightsOf(made.graph).filter((line) => /quantized|scale/.test(line)),
    ['W_quantized: 3 [4,3]', 'W_quantized_1: 3 [3,4]', 'W_scale: 1 [3]', 'W_scale_1: 1 [4]'],
  );
  assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.03);
});

test('weights behind Constant, Identity, Transpose and Cast are found, and what nothing reads any more is removed', async () => {
  const halves = initializer(
    'H',
    'float16',
    [3, 4],
    Uint16Array.from({ length: 12 }, (_, i) => 0x3c00 + 40 * i),
  );
  const made = await quantize(
    model({
      name: 'g',
      inputs: [X],
      outputs: [value('y', 'float32', ['rows', 3]), value('t', 'float32', [4, 4])],
      initializers: [halves, weight('E', 4, 4)],
      nodes: [
        node('Constant', [], ['C'], { value: weight('', 4, 4) }),
        node('MatMul', ['x', 'C'], ['a']),
        node('Identity', ['E'], ['I']),
        node('Transpose', ['I'], ['t']),
        node('MatMul', ['a', 't'], ['b']),
        node('Cast', ['H'], ['F'], { to: 1n }),
        node('Transpose', ['F'], ['T'], { perm: [1n, 0n] }),
        node('MatMul', ['b', 'T'], ['y']),
      ],
    }),
    DYNAMIC,
  );
  const operators = made.graph.node.map(({ opType }) => opType);
  assert.deepEqual(
    operators.filter((name) => ['Constant', 'Identity', 'Transpose'].includes(name)),
    ['Identity', 'Transpose'],
    'those in front of an output stay',
  );
  assert.equal(operators.filter((name) => name === 'MatMulInteger').length, 3);
  assert.ok(weightsOf(made.graph).includes('T_quantized: 3 [4,3]'));
  for (const difference of await differences(made, [floats(5, 4)])) assert.ok(difference < 0.05, `${difference}`);
});

test('nodes in the branches of an If are quantized, with weights of the graph around', async () => {
  const branch = (name: string, matrix: string) =>
    graph({
      name,
      nodes: [node('MatMul', ['e', matrix], [`${name}_y`], {}, { name })],
      inputs: [],
      outputs: [value(`${name}_y`, 'float32', ['rows', 3])],
    });
  const made = await quantize(
    model({
      name: 'g',
      inputs: [value('ids', 'int64', ['rows']), value('c', 'bool', [])],
      outputs: [Y],
      initializers: [weight('E', 10, 4), weight('W', 4, 3), weight('V', 4, 3)],
      nodes: [
        node('Gather', ['E', 'ids'], ['e']),
        node('If', ['c'], ['y'], { then_branch: branch('then', 'W'), else_branch: branch('else', 'V') }),
      ],
    }),
    DYNAMIC,
  );
  assert.deepEqual(linesOf(made.graph).slice(0, 2), [
    '-: Gather(E_quantized, ids) -> e_quantized',
    'e_DequantizeLinear: DequantizeLinear(e_quantized, E_scale, E_zero_point) -> e',
  ]);
  assert.equal(made.report.changed.filter(({ by }) => by === 'MatMulInteger').length, 2);
  const ids = { dtype: 'int64' as const, dims: [3], data: BigInt64Array.of(1n, 7n, 9n) };
  for (const flag of [0, 1]) {
    const [difference] = await differences(made, [ids, { dtype: 'bool', dims: [], data: Uint8Array.of(flag) }]);
    assert.ok(difference! < 0.03, `${difference}`);
  }
});

test('what stays as it is has a reason', async () => {
  const nan = initializer('N', 'float32', [4, 4], [Number.NaN, ...wave(15)]);
  const { report } = await quantize(
    model({
      name: 'g',
      inputs: [value('x', 'float32', [4, 4]), value('s', 'float32', [2, 2, 4])],
      outputs: [value('y', 'float32'), value('z', 'float32')],
      initializers: [weight('W', 4, 4), nan, weight('GW', 1, 9, 4), weight('GR', 1, 9, 3)],
      nodes: [
        node('MatMul', ['x', 'W'], ['a'], {}, { name: 'fine' }),
        node('MatMul', ['a', 'x'], ['b'], {}, { name: 'no weight' }),
        node('Gemm', ['b', 'W'], ['c'], { alpha: 0.5 }, { name: 'alpha' }),
        node('MatMul', ['c', 'N'], ['y'], {}, { name: 'nan' }),
        node('GRU', ['s', 'GW', 'GR'], ['z'], { hidden_size: 3n }, { name: 'gru' }),
      ],
    }),
    DYNAMIC,
  );
  assert.deepEqual(report.changed, [{ name: 'fine', operator: 'MatMul', by: 'MatMulInteger' }]);
  assert.deepEqual(
    report.kept.map(({ name, reason }) => `${name}: ${reason}`),
    [
      'no weight: its input x is no constant',
      'alpha: its attribute alpha has another value than the usual one',
      'nan: of its weight, an element is NaN or infinite',
      'gru: onnxruntime has no quantized GRU',
    ],
  );
});

describe('old files', () => {
  const old = (opset: number, irVersion: bigint, operator: string) => {
    const bytes = model({
      name: 'g',
      opset,
      inputs: [X, value('W', 'float32', [4, 3])],
      outputs: [Y],
      initializers: [weight('W', 4, 3)],
      nodes: [node('MatMul', ['x', 'W'], ['h']), node(operator, ['h'], ['y'])],
    });
    const proto = readModel(bytes, 'old');
    proto.irVersion = irVersion;
    return writeModel(proto);
  };

  test('opset 9 becomes 11, where that changes no operator, and initializers are no longer inputs', async () => {
    const made = await quantize(old(9, 3n, 'Relu'), DYNAMIC);
    assert.deepEqual(made.report.notes, [
      'the file has IR version 4 instead of 3, in which initializers were listed as inputs',
      'the model has opset 11 instead of 9, which does not have DynamicQuantizeLinear; its other operators mean the same in both',
    ]);
    assert.deepEqual(
      made.graph.input.map(({ name }) => name),
      ['x'],
    );
    assert.ok((await differences(made, [floats(5, 4)]))[0]! < 0.02);
  });

  test('an operator that changed until 11 is named', async () => {
    await assert.rejects(quantize(old(9, 4n, 'Clip'), DYNAMIC), {
      code: 'INVALID_INPUT',
      message:
        /opset 9 does not have DynamicQuantizeLinear, and the model cannot get opset 11 as it is, because Clip changed: export it again with opset 11 or higher$/,
    });
  });

  test('a weight that is the default of an input becomes a constant, and that is said', async () => {
    const made = await quantize(old(13, 8n, 'Relu'), DYNAMIC);
    assert.deepEqual(made.report.notes, [
      'these weights were also inputs of the model, with the weight as their default, and are constants now: W',
    ]);
    assert.deepEqual(
      made.graph.input.map(({ name }) => name),
      ['x'],
    );
  });
});

test('a model that is quantized already, or has nothing to quantize, is refused', async () => {
  const relu = model({ name: 'g', inputs: [X], outputs: [X], nodes: [] });
  await assert.rejects(quantize(relu, DYNAMIC), {
    code: 'INVALID_INPUT',
    message: /there is nothing to quantize: none of the selected nodes is one that this mode changes$/,
  });
  const { path } = await quantize(
    model({
      name: 'g',
      inputs: [X],
      outputs: [Y],
      initializers: [weight('W', 4, 3)],
      nodes: [node('MatMul', ['x', 'W'], ['y'])],
    }),
    DYNAMIC,
  );
  const { readFileSync } = await import('node:fs');
  await assert.rejects(quantize(readFileSync(path), DYNAMIC), {
    code: 'INVALID_INPUT',
    message: /the model is quantized already \(1 DynamicQuantizeLinear, 1 MatMulInteger\): give the one before$/,
  });
});

test('unknown fields of the file, and attributes, are kept', async () => {
  const bytes = model({
    name: 'g',
    inputs: [X],
    outputs: [Y],
    initializers: [weight('W', 4, 3)],
    metadata: { classes: 'a,b,c' },
    nodes: [node('MatMul', ['x', 'W'], ['h']), node('LeakyRelu', ['h'], ['y'], { alpha: 0.25 })],
  });
  // Field 99 of the message, with the text `new`.
  const made = await quantize(Buffer.concat([bytes, Uint8Array.of(0x9a, 0x06, 3), Buffer.from('new')]), DYNAMIC);
  assert.deepEqual(
    made.proto.$unknown?.map(({ no }) => no),
    [99],
  );
  assert.equal(made.proto.metadataProps[0]?.value, 'a,b,c');
  assert.deepEqual(made.graph.node.at(-1)?.attribute, [attribute('alpha', 0.25)]);
});

test('a model with external data has it in the result, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'external-'));
  try {
    const [inside, outside, result] = ['a.onnx', 'b.onnx', 'c.onnx'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const bytes = model({
      name: 'g',
      inputs: [value('x', 'float32', ['rows', 128])],
      outputs: [value('y', 'float32', ['rows', 128])],
      initializers: [weight('W', 128, 128)],
      nodes: [node('MatMul', ['x', 'W'], ['y'])],
    });
    writeFileSync(inside, bytes);
    await writeEdited(openModel(inside), outside, { externalData: true });
    const editable = openModel(outside);
    await DYNAMIC.run(editable, { isSelected: () => true }, () => {});
    const { files } = await writeEdited(editable, result);
    assert.deepEqual(files, [result, `${result}.data`]);
    const [difference] = await differences({ original: inside, path: result }, [floats(2, 128)]);
    assert.ok(difference! < 0.1, `${difference}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
