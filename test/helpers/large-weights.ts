/** Models whose weights are large enough to be mapped from their file. Each takes `x` float32 [N,64]. */
import { create } from '@bufbuild/protobuf';
import { DATA_LOCATION, DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { graph, initializer, model, node, typedValue, value } from '../../functions/onnx/proto/build.ts';
import { type NodeProto, type TensorProto, TensorProtoSchema } from '../../functions/onnx/proto/onnx_pb.ts';
import { createRandom } from '../../scripts/fuzz/random.ts';
import { scoreMaps, zipMapNode } from './exported-models.ts';
import { varint } from './wire.ts';

/** Columns of `x`. */
export const COLUMNS = 64;

function numbers(count: number, seed = 1): Float32Array<ArrayBuffer> {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => random.int(10_000) / 40_000 - 0.125);
}

const weight = (name: string, dims: number[], seed?: number): TensorProto =>
  initializer(
    name,
    'float32',
    dims,
    numbers(
      dims.reduce((product, dim) => product * dim, 1),
      seed,
    ),
  );

function net(nodes: NodeProto[], initializers: TensorProto[], producer = 'test') {
  return model({
    name: 'net',
    nodes,
    initializers,
    producer,
    inputs: [value('x', 'float32', ['N', COLUMNS])],
    outputs: [value('y', 'float32')],
  });
}

/** Two layers; the length of the producer's name shifts the weights in the file. */
export const layers = (producer?: string) =>
  net(
    [
      node('MatMul', ['x', 'a'], ['h']),
      node('Relu', ['h'], ['r']),
      node('Gemm', ['r', 'b', 'c'], ['y'], { transB: 1n }),
    ],
    [weight('a', [COLUMNS, 96]), weight('b', [1280, 96], 2), weight('c', [1280], 3)],
    producer,
  );

/** float16 weights and arithmetic. */
function half() {
  // The bits of small float16 numbers of both signs.
  const bits = Uint16Array.from({ length: COLUMNS * 64 }, (_, i) => 0x2000 + ((i * 37) % 1500) + (i % 2) * 0x8000);
  return net(
    [
      node('Cast', ['x'], ['x16'], { to: BigInt(DATA_TYPES.float16) }),
      node('MatMul', ['x16', 'w'], ['y16']),
      node('Cast', ['y16'], ['y'], { to: BigInt(DATA_TYPES.float32) }),
    ],
    [initializer('w', 'float16', [COLUMNS, 64], bits)],
  );
}

/** int8 weights between DequantizeLinear nodes, as static quantization writes them. */
function quantized() {
  const w = Int8Array.from({ length: COLUMNS * 128 }, (_, i) => ((i * 53) % 255) - 127);
  return net(
    [
      node('QuantizeLinear', ['x', 'xs', 'xz'], ['xq']),
      node('DequantizeLinear', ['xq', 'xs', 'xz'], ['xd']),
      node('DequantizeLinear', ['w', 'ws', 'wz'], ['wd']),
      node('MatMul', ['xd', 'wd'], ['h']),
      node('QuantizeLinear', ['h', 'hs', 'xz'], ['hq']),
      node('DequantizeLinear', ['hq', 'hs', 'xz'], ['y']),
    ],
    [
      initializer('w', 'int8', [COLUMNS, 128], w),
      ...(['xs', 'ws', 'hs'] as const).map((name, i) => initializer(name, 'float32', [], [[0.01, 0.02, 0.05][i]!])),
      initializer('xz', 'uint8', [], [128]),
      initializer('wz', 'int8', [], [0]),
    ],
  );
}

/** A sequence of 8 steps of 8 columns for each row. */
function lstm() {
  return net(
    [
      node('Reshape', ['x', 'shape'], ['rows']),
      node('Transpose', ['rows'], ['steps'], { perm: [1n, 0n, 2n] }),
      node('LSTM', ['steps', 'w', 'r', 'b'], ['', 'y'], { hidden_size: 32n }),
    ],
    [
      initializer('shape', 'int64', [3], [-1, 8, 8]),
      weight('w', [1, 128, 8]),
      weight('r', [1, 128, 32], 2),
      weight('b', [1, 256], 3),
    ],
  );
}

/** Weights in the branches of an If, and in the body of a Loop. */
function subgraphs() {
  const branch = (name: string, seed: number) =>
    graph({
      name,
      nodes: [node('MatMul', ['x', name], [`${name}_y`])],
      initializers: [weight(name, [COLUMNS, 64], seed)],
      inputs: [],
      outputs: [value(`${name}_y`, 'float32')],
    });
  const body = graph({
    name: 'body',
    nodes: [node('MatMul', ['state', 'step_w'], ['next']), node('Identity', ['go'], ['go_on'])],
    initializers: [weight('step_w', [64, 64], 7)],
    inputs: [value('i', 'int64', []), value('go', 'bool', []), value('state', 'float32', ['N', 64])],
    outputs: [value('go_on', 'bool', []), value('next', 'float32', ['N', 64])],
  });
  return net(
    [
      node('ReduceSum', ['x'], ['total'], { keepdims: 0n }),
      node('Greater', ['total', 'zero'], ['positive']),
      node('If', ['positive'], ['h'], { then_branch: branch('left', 5), else_branch: branch('right', 6) }),
      node('Loop', ['count', '', 'h'], ['y'], { body }),
    ],
    [initializer('zero', 'float32', [], [0]), initializer('count', 'int64', [], [3])],
  );
}

/** float_data instead of raw_data. */
function floatData() {
  const { rawData } = weight('w', [COLUMNS, 64]);
  const tensor = create(TensorProtoSchema, { name: 'w', dataType: DATA_TYPES.float32, dims: [64n, 64n] });
  tensor.$unknown = [{ no: 4, wireType: 2, data: Buffer.concat([varint(rawData.length), rawData]) }];
  return net([node('MatMul', ['x', 'w'], ['y'])], [tensor]);
}

/** A convolution: 8 x 8 pixels, 64 filters. */
function convolution() {
  return net(
    [
      node('Reshape', ['x', 'shape'], ['image']),
      node('Conv', ['image', 'k'], ['c'], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
      node('Conv', ['c', 'l'], ['d'], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
      node('GlobalAveragePool', ['d'], ['y']),
    ],
    [initializer('shape', 'int64', [4], [-1, 1, 8, 8]), weight('k', [64, 1, 3, 3]), weight('l', [64, 64, 3, 3], 2)],
  );
}

/** A classifier whose scores are a sequence of maps in the file. */
function zipMap() {
  return model({
    name: 'zip-map',
    nodes: [node('MatMul', ['x', 'w'], ['p']), zipMapNode('p', 'y', [...new Array(32).keys()])],
    initializers: [weight('w', [COLUMNS, 32])],
    inputs: [value('x', 'float32', ['N', COLUMNS])],
    outputs: [typedValue('y', scoreMaps('int64'))],
    mlOpset: 3,
  });
}

/** Weights in the model's file, and in another file: {@link EXTERNAL}. */
export function partlyExternal(location = 'model.onnx.data') {
  const outside = create(TensorProtoSchema, {
    name: 'outside',
    dataType: DATA_TYPES.float32,
    dims: [64n, 64n],
    dataLocation: DATA_LOCATION.external,
    externalData: [{ key: 'location', value: location }],
  });
  const nodes = [node('MatMul', ['x', 'w'], ['h']), node('MatMul', ['h', 'outside'], ['y'])];
  return net(nodes, [weight('w', [COLUMNS, 64]), outside]);
}

/** The content of `model.onnx.data`. */
export const EXTERNAL = new Uint8Array(numbers(64 * 64, 9).buffer);

/** `y` = `x`, by way of 512 more axes: shape inference needs their numbers, which are 4 kB. */
export const manyAxes = () =>
  net(
    [node('Unsqueeze', ['x', 'axes'], ['deep']), node('Reshape', ['deep', 'shape'], ['y'])],
    [
      initializer(
        'axes',
        'int64',
        [512],
        Array.from({ length: 512 }, (_, i) => i + 2),
      ),
      initializer('shape', 'int64', [2], [-1, COLUMNS]),
    ],
  );

/** The models, by what they have. */
export const LARGE_WEIGHTS: Readonly<Record<string, () => Uint8Array<ArrayBuffer>>> = {
  'matrix products': () => layers(),
  'weights at an odd offset': () => layers('odd'),
  'weights at another odd offset': () => layers('an odd one'),
  float16: half,
  'int8 QDQ': quantized,
  LSTM: lstm,
  'subgraphs of If and Loop': subgraphs,
  float_data: floatData,
  convolutions: convolution,
  'a ZipMap': zipMap,
  'external data beside its own': () => partlyExternal(),
};
