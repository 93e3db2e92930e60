import { initializer, node } from '../../functions/onnx/proto/build.ts';
import type { ConvNet } from './conv-net.ts';

const CONVOLUTION = { group: 1n, pads: [1n, 1n, 1n, 1n], auto_pad: 'NOTSET', strides: [1n, 1n], dilations: [1n, 1n] };
const POOLING = {
  storage_order: 0n,
  dilations: [1n, 1n],
  ceil_mode: 0n,
  pads: [0n, 0n, 0n, 0n],
  auto_pad: 'NOTSET',
  strides: [2n, 2n],
  kernel_shape: [2n, 2n],
};

/** A node with the name that PyTorch gives it. @param index of the node in the graph */
export const named = (index: number, type: string, ...rest: [string[], string[], Parameters<typeof node>[3]?]) =>
  node(type, rest[0], rest[1], rest[2], { name: `node_${type}_${index}` });

/**
 * The layers of a net, from `from` [batch, 1, 8, 8] to `to` [batch, 10], as `torch.onnx.export(dynamo=True)` writes them.
 * @param input of the graph, whose first dimension is the batch
 * @param index of the first node
 */
export function layerNodes(input: string, from: string, to: string, index: number) {
  const parts: [type: string, inputs: string[], outputs: string[], attributes?: Parameters<typeof node>[3]][] = [
    ['Conv', [from, 'layers.0.weight', 'layers.0.bias'], ['conv2d'], CONVOLUTION],
    ['Relu', ['conv2d'], ['relu']],
    ['MaxPool', ['relu'], ['max_pool2d'], POOLING],
    ['Conv', ['max_pool2d', 'layers.3.weight', 'layers.3.bias'], ['conv2d_1'], CONVOLUTION],
    ['Relu', ['conv2d_1'], ['relu_1']],
    ['MaxPool', ['relu_1'], ['max_pool2d_1'], POOLING],
    ['Shape', [input], ['val_0'], { end: 1n, start: 0n }],
    ['Concat', ['val_0', 'width'], ['val_1'], { axis: 0n }],
    ['Reshape', ['max_pool2d_1', 'val_1'], ['view'], { allowzero: 1n }],
    ['Gemm', ['view', 'layers.7.weight', 'layers.7.bias'], [to], { beta: 1, transB: 1n, alpha: 1, transA: 0n }],
  ];
  return parts.map(([type, inputs, outputs, attributes], i) => named(index + i, type, inputs, outputs, attributes));
}

/** The weights and biases of {@link layerNodes}. */
export const layerWeights = ({ first, second, last }: ConvNet) => [
  ...[first, second].flatMap(({ from, to, weights, bias }, i) => [
    initializer(`layers.${3 * i}.weight`, 'float32', [to, from, 3, 3], Array.from(weights)),
    initializer(`layers.${3 * i}.bias`, 'float32', [to], Array.from(bias)),
  ]),
  initializer('layers.7.weight', 'float32', [last.to, last.from], Array.from(last.weights)),
  initializer('layers.7.bias', 'float32', [last.to], Array.from(last.bias)),
];

/** The second dimension of a flattened picture, the constant `width` of {@link layerNodes}. */
export const layerWidth = ({ last }: ConvNet) => initializer('width', 'int64', [1], [last.from]);
