import assert from 'node:assert/strict';
import { test } from 'node:test';
import { graph, initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../../../functions/onnx/proto/onnx_pb.ts';
import {
  countOperators,
  largestDifference,
  noise,
  noiseTensor,
  quantizeStatically,
  runOnce,
} from '../../../helpers/quantize-statically.ts';
import { tempFiles } from '../../../helpers/temp-file.ts';

const file = tempFiles('quantize-graph-');
const weight = (name: string, dims: number[], seed = 2, scale = 1): TensorProto =>
  initializer(
    name,
    'float32',
    dims,
    noise(
      dims.reduce((a, b) => a * b, 1),
      seed,
    ).map((x) => x * scale),
  );

/** A net from `x` [N, 4] to `y`. */
function net(nodes: NodeProto[], initializers: TensorProto[]) {
  return model({
    name: 'net',
    nodes,
    initializers,
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32')],
  });
}

/** A copy: the bytes of a message are a part of the file's. */
const bytesOf = ({ rawData }: TensorProto): ArrayBuffer => Uint8Array.from(rawData).buffer;

test('Gemm, Relu and Softmax become what onnxruntime’s Python tools make: the same operators and names', async () => {
  const path = file(
    'mlp.onnx',
    net(
      [
        node('Gemm', ['x', 'w0', 'b0'], ['h'], { transB: 1n }, { name: 'first' }),
        node('Relu', ['h'], ['r'], {}, { name: 'clip' }),
        node('Gemm', ['r', 'w1', 'b1'], ['s'], {}, { name: 'second' }),
        node('Softmax', ['s'], ['y'], { axis: -1n }, { name: 'last' }),
      ],
      [weight('w0', [6, 4]), weight('b0', [6], 3), weight('w1', [6, 3], 5), weight('b1', [3], 7)],
    ),
  );
  const { proto, plan, path: quantized } = await quantizeStatically(path, { ranges: { r: { min: 0, max: 4 } } });
  // x, r, s and y; two weights and two biases are dequantized as well. The quantization of r clips as the Relu did.
  assert.deepEqual(countOperators(proto), { DequantizeLinear: 8, Gemm: 2, QuantizeLinear: 4, Softmax: 1 });
  assert.deepEqual(
    plan.report.changed.map(({ name, by }) => [name, by]),
    [
      ['first', 'Gemm'],
      ['clip', 'QuantizeLinear'],
      ['second', 'Gemm'],
      ['last', 'Softmax'],
    ],
  );
  const tensors = new Map(proto.graph!.initializer.map((tensor) => [tensor.name, tensor]));
  const described = [...tensors].map(([name, { dataType, dims }]) => `${name} ${dataType} [${dims}]`).sort();
  assert.deepEqual(described, [
    'b0_quantized 6 [6]',
    'b0_quantized_scale 1 [6]',
    'b0_quantized_zero_point 6 [6]',
    'b1_quantized 6 [3]',
    'b1_quantized_scale 1 [3]',
    'b1_quantized_zero_point 6 [3]',
    'r_scale 1 []',
    'r_zero_point 3 []',
    's_scale 1 []',
    's_zero_point 3 []',
    'w0_quantized 3 [6,4]',
    'w0_scale 1 [6]',
    'w0_zero_point 3 [6]',
    'w1_quantized 3 [6,3]',
    'w1_scale 1 [3]',
    'w1_zero_point 3 [3]',
    'x_scale 1 []',
    'x_zero_point 3 []',
    'y_scale 1 []',
    'y_zero_point 3 []',
  ]);
  // A Softmax is between 0 and 1, whatever was seen; a value that is never negative has the smallest integer as zero.
  const floats = (name: string) => [...new Float32Array(bytesOf(tensors.get(name)!))];
  const integer = (name: string) => new Int8Array(bytesOf(tensors.get(name)!))[0];
  assert.deepEqual(floats('y_scale'), [Math.fround(1 / 255)]);
  assert.deepEqual([integer('y_zero_point'), integer('r_zero_point')], [-128, -128]);
  assert.deepEqual(floats('r_scale'), [Math.fround(4 / 255)]);
  assert.deepEqual(floats('x_scale'), [Math.fround(16 / 255)]);
  // The bias is in units of the products.
  const [inputScale, weightScales] = [floats('x_scale')[0]!, floats('w0_scale')];
  assert.deepEqual(
    floats('b0_quantized_scale'),
    weightScales.map((scale) => Math.fround(inputScale * scale)),
  );
  const feeds = { x: noiseTensor([5, 4]) };
  assert.ok(largestDifference(await runOnce(path, feeds), await runOnce(quantized, feeds)) < 0.03);
});

test('uint8 values have their zero point between 0 and 255', async () => {
  const path = file('uint8.onnx', net([node('MatMul', ['x', 'w'], ['y'])], [weight('w', [4, 3])]));
  const { proto } = await quantizeStatically(path, { activations: 'uint8', ranges: { x: { min: -1, max: 3 } } });
  const zero = proto.graph!.initializer.find(({ name }) => name === 'x_zero_point')!;
  assert.deepEqual([zero.dataType, zero.rawData[0]], [2, 64]);
});

/** Nets, and what they are after quantization. Each is run before and after. */
const NETS: [title: string, nodes: NodeProto[], initializers: TensorProto[], operators: Record<string, number>][] = [
  [
    'operators that move elements have the scale of their input',
    [
      node('MatMul', ['x', 'w'], ['h']),
      node('Reshape', ['h', 'shape'], ['r']),
      node('Transpose', ['r'], ['t'], { perm: [0n, 2n, 1n] }),
      node('MatMul', ['t', 'v'], ['y']),
    ],
    [weight('w', [4, 6]), initializer('shape', 'int64', [3], [-1, 2, 3]), weight('v', [2, 2], 5)],
    { DequantizeLinear: 7, MatMul: 2, QuantizeLinear: 5, Reshape: 1, Transpose: 1 },
  ],
  [
    'an operator that moves elements stays if its input is not quantized',
    [node('Reshape', ['x', 'shape'], ['r']), node('Sub', ['r', 'c'], ['s']), node('MatMul', ['s', 'w'], ['y'])],
    [initializer('shape', 'int64', [2], [-1, 2]), weight('c', [2]), weight('w', [2, 3])],
    { DequantizeLinear: 3, MatMul: 1, QuantizeLinear: 2, Reshape: 1, Sub: 1 },
  ],
  [
    'a Relu whose input has another reader is quantized as an operator of its own',
    [node('MatMul', ['x', 'w'], ['h']), node('Relu', ['h'], ['r']), node('Add', ['h', 'r'], ['y'])],
    [weight('w', [4, 4])],
    { Add: 1, DequantizeLinear: 5, MatMul: 1, QuantizeLinear: 4, Relu: 1 },
  ],
  [
    'a Clip between bounds around 0 is removed, and one above 0 is not',
    [
      node('MatMul', ['x', 'w'], ['h']),
      node('Clip', ['h', 'below', 'above'], ['c']),
      node('MatMul', ['c', 'w'], ['g']),
      node('Clip', ['g', 'above', ''], ['y']),
    ],
    [weight('w', [4, 4]), initializer('below', 'float32', [], [-0.5]), initializer('above', 'float32', [], [0.25])],
    { Clip: 1, DequantizeLinear: 5, MatMul: 2, QuantizeLinear: 4 },
  ],
  [
    'both inputs of an Add and all of a Concat have scales of their own, constants too',
    [node('Add', ['x', 'c'], ['a']), node('Mul', ['a', 'x'], ['m']), node('Concat', ['a', 'm'], ['y'], { axis: 1n })],
    [weight('c', [4])],
    { Add: 1, Concat: 1, DequantizeLinear: 5, Mul: 1, QuantizeLinear: 4 },
  ],
  [
    'Split and Slice have the scale of their input',
    [
      node('Split', ['x'], ['l', 'r'], { axis: 1n }),
      node('Slice', ['l', 'zero', 'one', 'one'], ['s']),
      node('Concat', ['s', 'r'], ['y'], { axis: 1n }),
    ],
    [initializer('zero', 'int64', [1], [0]), initializer('one', 'int64', [1], [1])],
    { Concat: 1, DequantizeLinear: 5, QuantizeLinear: 5, Slice: 1, Split: 1 },
  ],
  [
    'a Where of quantized values is quantized, and integers stay as they are',
    [
      node('MatMul', ['x', 'w'], ['h']),
      node('Relu', ['x'], ['p']),
      node('MatMul', ['p', 'w'], ['g']),
      node('Greater', ['x', 'zero'], ['is_positive']),
      node('Where', ['is_positive', 'h', 'g'], ['v']),
      node('ArgMax', ['v'], ['at'], { axis: 1n }),
      node('Cast', ['at'], ['y'], { to: 1n }),
    ],
    [weight('w', [4, 4]), initializer('zero', 'float32', [], [0])],
    { ArgMax: 1, Cast: 1, DequantizeLinear: 6, Greater: 1, MatMul: 2, QuantizeLinear: 5, Relu: 1, Where: 1 },
  ],
  [
    'an embedding is stored as int8, and its rows have its scale',
    [
      node('ArgMin', ['x'], ['at'], { axis: 1n, keepdims: 0n }),
      node('Gather', ['table', 'at'], ['row']),
      node('MatMul', ['row', 'w'], ['y']),
    ],
    [weight('table', [4, 6]), weight('w', [6, 2])],
    { ArgMin: 1, DequantizeLinear: 4, Gather: 1, MatMul: 1, QuantizeLinear: 2 },
  ],
  [
    'a padding of 0 has the scale of its input, and another has its own',
    [
      node('MatMul', ['x', 'w'], ['h']),
      node('Pad', ['h', 'pads'], ['p']),
      node('Pad', ['p', 'pads', 'four'], ['q']),
      node('MatMul', ['q', 'v'], ['y']),
    ],
    [
      weight('w', [4, 4]),
      initializer('pads', 'int64', [4], [0, 1, 0, 0]),
      initializer('four', 'float32', [], [4]),
      weight('v', [6, 2], 5),
    ],
    { DequantizeLinear: 7, MatMul: 2, Pad: 2, QuantizeLinear: 5 },
  ],
  [
    'a LayerNormalization has an int8 scale and an int32 bias',
    [node('LayerNormalization', ['x', 'gamma', 'beta'], ['y'])],
    [weight('gamma', [4]), weight('beta', [4], 5)],
    { DequantizeLinear: 4, LayerNormalization: 1, QuantizeLinear: 2 },
  ],
  [
    'beta of a Gemm becomes a part of its bias, and a bias for all columns stays float32',
    [node('Gemm', ['x', 'w', 'b'], ['h'], { alpha: 0.5, beta: 3 }), node('Gemm', ['h', 'v', 'c'], ['y'], { beta: 2 })],
    [weight('w', [4, 4]), weight('b', [4], 5), weight('v', [4, 2], 7), weight('c', [1], 3)],
    { DequantizeLinear: 6, Gemm: 2, QuantizeLinear: 3 },
  ],
  [
    'a weight that two nodes read along different axes has one scale, and a bias of two nodes one int32 tensor for each',
    [node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1n }), node('Gemm', ['h', 'w', 'b'], ['y'])],
    [weight('w', [4, 4]), weight('b', [4], 5)],
    { DequantizeLinear: 6, Gemm: 2, QuantizeLinear: 3 },
  ],
  [
    'a stack of matrices and a vector have one scale',
    [node('Unsqueeze', ['x', 'axis'], ['u']), node('MatMul', ['u', 'w'], ['h']), node('MatMul', ['h', 'v'], ['y'])],
    [initializer('axis', 'int64', [1], [1]), weight('w', [1, 4, 3]), weight('v', [3], 5)],
    { DequantizeLinear: 5, MatMul: 2, QuantizeLinear: 3, Unsqueeze: 1 },
  ],
  [
    'a bias that is far larger than the products still fits into int32',
    [node('Gemm', ['x', 'w', 'b'], ['y'])],
    [weight('w', [4, 4], 2, 1e-12), weight('b', [4], 5, 6)],
    { DequantizeLinear: 4, Gemm: 1, QuantizeLinear: 2 },
  ],
  [
    'a weight in a node of the operator Constant is stored as int8',
    [node('Constant', [], ['w'], { value: weight('', [4, 3]) }), node('MatMul', ['x', 'w'], ['y'])],
    [],
    { DequantizeLinear: 3, MatMul: 1, QuantizeLinear: 2 },
  ],
  [
    'a constant that is not finite stays as it is',
    [node('MatMul', ['x', 'w'], ['h']), node('Min', ['h', 'most'], ['m']), node('Add', ['m', 'mask'], ['y'])],
    [
      weight('w', [4, 2]),
      initializer('most', 'float32', [], [4]),
      initializer('mask', 'float32', [2], [0, Number.POSITIVE_INFINITY]),
    ],
    { Add: 1, DequantizeLinear: 5, MatMul: 1, Min: 1, QuantizeLinear: 4 },
  ],
];

for (const [index, [title, nodes, initializers, operators]] of NETS.entries()) {
  test(title, async () => {
    const path = file(`net-${index}.onnx`, net(nodes, initializers));
    const others = ['at', 'is_positive'];
    const { proto, path: quantized } = await quantizeStatically(path, { others, otherwise: { min: -9, max: 9 } });
    const feeds = { x: noiseTensor([3, 4]) };
    const [expected, got] = [await runOnce(path, feeds), await runOnce(quantized, feeds)];
    const finite = expected.map((values) => values.map((one) => (Number.isFinite(one) ? one : 0)));
    const difference = largestDifference(
      finite,
      got.map((values, o) => values.map((one, i) => (Number.isFinite(expected[o]![i]) ? one : 0))),
    );
    assert.deepEqual(countOperators(proto), operators);
    assert.ok(difference < 0.25, `the largest difference is ${difference}`);
  });
}

test('a graph inside a node reads the dequantized value and weight of the graph around', async () => {
  const branch = (name: string, operator: string) =>
    graph({
      name,
      nodes: [node(operator, ['h', 'w'], [name])],
      inputs: [],
      outputs: [value(name, 'float32')],
    });
  const path = file(
    'subgraph.onnx',
    net(
      [
        node('MatMul', ['x', 'w'], ['h']),
        node('Relu', ['h'], ['r']),
        node('ReduceSum', ['r'], ['sum'], { keepdims: 0n }),
        node('Greater', ['sum', 'zero'], ['is_positive']),
        node('If', ['is_positive'], ['y'], {
          then_branch: branch('then', 'MatMul'),
          else_branch: branch('else', 'Add'),
        }),
      ],
      [weight('w', [4, 4]), initializer('zero', 'float32', [], [0])],
    ),
  );
  const { proto, path: quantized, plan } = await quantizeStatically(path, { others: ['is_positive', 'sum'] });
  // h has three readers, so that the Relu stays; w is stored once.
  assert.deepEqual([...plan.activations.keys()], ['x', 'h', 'r']);
  assert.ok(!proto.graph!.initializer.some(({ name }) => name === 'w'));
  const feeds = { x: noiseTensor([4, 4]) };
  assert.ok(largestDifference(await runOnce(path, feeds), await runOnce(quantized, feeds)) < 0.25);
});

test('an old model has one scale for each weight: a scale for each channel needs operator set 13', async () => {
  const path = file(
    'old.onnx',
    model({
      name: 'old',
      nodes: [node('Gemm', ['x', 'w', 'b'], ['h']), node('Relu', ['h'], ['y'])],
      initializers: [weight('w', [4, 3]), weight('b', [3], 5)],
      // Before version 4 of the format, initializers are inputs in name.
      inputs: [value('x', 'float32', ['N', 4]), value('w', 'float32', [4, 3]), value('b', 'float32', [3])],
      outputs: [value('y', 'float32')],
      opset: 10,
      irVersion: 3,
    }),
  );
  const { proto, path: quantized } = await quantizeStatically(path, { ranges: { y: { min: 0, max: 8 } } });
  const scales = proto.graph!.initializer.filter(({ name }) => name.endsWith('_scale'));
  assert.deepEqual(
    scales.map(({ dims }) => dims),
    [[], [], [], []],
  );
  const feeds = { x: noiseTensor([4, 4]) };
  assert.ok(largestDifference(await runOnce(path, feeds), await runOnce(quantized, feeds)) < 0.25);
});

test('only selected nodes decide what is quantized', async () => {
  const nodes = [
    node('MatMul', ['x', 'w'], ['h'], {}, { name: 'first' }),
    node('MatMul', ['h', 'v'], ['y'], {}, { name: 'second' }),
  ];
  const path = file('selected.onnx', net(nodes, [weight('w', [4, 4]), weight('v', [4, 2])]));
  const { proto, plan } = await quantizeStatically(path, { isSelected: ({ name }) => name === 'second' });
  assert.deepEqual([...plan.activations.keys()], ['h', 'y']);
  assert.deepEqual([...plan.constants.keys()], ['v']);
  assert.ok(proto.graph!.initializer.some(({ name }) => name === 'w'));
});

test('an initializer that callers may replace is no constant', async () => {
  const path = file(
    'default.onnx',
    model({
      name: 'default',
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
      initializers: [weight('w', [4, 3])],
      inputs: [value('x', 'float32', ['N', 4]), value('w', 'float32', [4, 3])],
      outputs: [value('y', 'float32')],
    }),
  );
  const { plan } = await quantizeStatically(path, { others: ['w'] });
  assert.deepEqual([...plan.constants.keys()], []);
});

test('the reason why a node stays is reported', async () => {
  const nodes = [
    node('Reshape', ['x', 'shape'], ['r'], {}, { name: 'flat' }),
    node('Shape', ['r'], ['s'], {}, { name: 'shape' }),
    node('Concat', ['s', 's'], ['t'], { axis: 0n }, { name: 'join' }),
    node('Relu', ['x'], ['p'], {}, { name: 'clip' }),
    node('MatMul', ['p', 'w'], ['y'], {}, { name: 'product' }),
  ];
  const initializers = [initializer('shape', 'int64', [2], [-1, 2]), weight('w', [4, 3])];
  const { plan } = await quantizeStatically(file('kept.onnx', net(nodes, initializers)), { others: ['s', 't'] });
  assert.deepEqual(plan.report.kept, [
    { name: 'flat', operator: 'Reshape', reason: 'its input is not quantized' },
    { name: 'join', operator: 'Concat', reason: 'none of its values is float32' },
    { name: 'clip', operator: 'Relu', reason: 'its input is not quantized' },
  ]);
});
