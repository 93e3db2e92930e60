import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { CLASSES, createImages, SIDE } from './images.ts';
import type { TrainedModel } from './mlp.ts';
import { createRandom } from './random.ts';
import { type Parameter, train } from './train.ts';

interface ConvNetOptions {
  /** Channels of the convolutions, each of 3 x 3. All but the last are followed by 2 x 2 max pooling. Default: 16, 32, 64, 320. */
  readonly channels?: readonly number[];
  /** Default: 240, some seconds of one CPU for the default channels. */
  readonly steps?: number;
  /** Default: 1000. */
  readonly heldOutRows?: number;
}

const ROWS = 32;
const INPUT_DIMS = [1, SIDE, SIDE];
const PADDED = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] };
const POOLED = { kernel_shape: [2n, 2n], strides: [2n, 2n] };

/** Trains a small convolution net on synthetic images: `x` [rows, 1, SIDE, SIDE] -> `probabilities` [rows, CLASSES]. */
export async function trainConvNet({
  channels = [16, 32, 64, 320],
  steps = 240,
  heldOutRows = 1000,
}: ConvNetOptions = {}): Promise<TrainedModel> {
  const random = createRandom(17);
  const shapes = shapesOf(channels);
  const parameters = shapes.map(({ name, dims, inputs }): Parameter => {
    const spread = inputs === 0 ? 0 : Math.sqrt(2 / inputs);
    const values = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => spread * random.normal());
    return { name, dims, values };
  });
  const next = createImages(13);
  await train(trainingStep(channels), parameters, next, {
    steps,
    rows: ROWS,
    rate: 0.2,
    classes: CLASSES,
    inputDims: INPUT_DIMS,
  });
  return { bytes: modelOf(channels, parameters), heldOut: next(heldOutRows), samples: next(128) };
}

/** `inputs`: how many values a weight's products sum; 0 for a bias. */
function shapesOf(channels: readonly number[]) {
  const convolutions = channels.flatMap((to, layer) => {
    const from = channels[layer - 1] ?? 1;
    return [
      { name: `conv${layer}.weight`, dims: [to, from, 3, 3], inputs: from * 9 },
      { name: `conv${layer}.bias`, dims: [to], inputs: 0 },
    ];
  });
  const last = channels.at(-1)!;
  return [
    ...convolutions,
    { name: 'head.weight', dims: [CLASSES, last], inputs: last },
    { name: 'head.bias', dims: [CLASSES], inputs: 0 },
  ];
}

function modelOf(channels: readonly number[], parameters: readonly Parameter[]): Uint8Array<ArrayBuffer> {
  return model({
    name: 'conv-net',
    inputs: [value('x', 'float32', ['rows', ...INPUT_DIMS])],
    outputs: [value('probabilities', 'float32', ['rows', CLASSES])],
    initializers: parameters.map(({ name, dims, values }) => initializer(name, 'float32', dims, values)),
    nodes: [...forward(channels), node('Softmax', ['scores'], ['probabilities'], { axis: -1n }, { name: 'Softmax' })],
  });
}

/** `sum0` is the convolution of `x`, `out0` its Relu, `pool0` that pooled, and so on; `mean` is of the last, over its pixels. */
function forward(channels: readonly number[]) {
  const last = channels.length - 1;
  const convolutions = channels.flatMap((_, layer) => {
    const inputs = [layer === 0 ? 'x' : `pool${layer - 1}`, `conv${layer}.weight`, `conv${layer}.bias`];
    return [
      node('Conv', inputs, [`sum${layer}`], PADDED, { name: `Conv_${layer}` }),
      node('Relu', [`sum${layer}`], [`out${layer}`], {}, { name: `Relu_${layer}` }),
      ...(layer === last
        ? []
        : [node('MaxPool', [`out${layer}`], [`pool${layer}`], POOLED, { name: `MaxPool_${layer}` })]),
    ];
  });
  return [
    ...convolutions,
    node('GlobalAveragePool', [`out${last}`], ['mean'], {}, { name: 'GlobalAveragePool' }),
    node('Flatten', ['mean'], ['flat'], {}, { name: 'Flatten' }),
    node('Gemm', ['flat', 'head.weight', 'head.bias'], ['scores'], { transB: 1n }, { name: 'Gemm' }),
  ];
}

/** Gradient descent on the cross-entropy of a softmax; see `TrainingStep`. The gradient of a value is `d_` and its name. */
function trainingStep(channels: readonly number[]): Uint8Array {
  const last = channels.length - 1;
  const nodes = [
    ...forward(channels),
    node('Softmax', ['scores'], ['p'], { axis: -1n }),
    node('Sub', ['p', 'target'], ['error']),
    node('Div', ['error', 'rows'], ['d_scores']),
    node('Gemm', ['d_scores', 'flat'], ['d_head.weight'], { transA: 1n }),
    node('ReduceSum', ['d_scores', 'axis0'], ['d_head.bias'], { keepdims: 0n }),
    node('MatMul', ['d_scores', 'head.weight'], ['d_flat']),
    // Each pixel has the same share of the mean.
    node('Unsqueeze', ['d_flat', 'pixel_axes'], ['d_mean']),
    node('Shape', [`out${last}`], ['pixels'], { start: 2n }),
    node('ReduceProd', ['pixels'], ['pixel_count'], { keepdims: 0n }),
    node('CastLike', ['pixel_count', 'd_mean'], ['divisor']),
    node('Div', ['d_mean', 'divisor'], [`d_out${last}`]),
  ];
  for (let layer = last; layer >= 0; layer--) nodes.push(...backward(layer, layer === last));
  const shapes = shapesOf(channels);
  for (const { name } of shapes) {
    nodes.push(
      node('Mul', [`d_${name}`, 'rate'], [`${name}.change`]),
      node('Sub', [name, `${name}.change`], [`${name}_next`]),
    );
  }
  return model({
    name: 'conv-net-training-step',
    opset: 18,
    inputs: [
      value('x', 'float32', ['rows', ...INPUT_DIMS]),
      value('target', 'float32', ['rows', CLASSES]),
      value('rate', 'float32', []),
      ...shapes.map(({ name, dims }) => value(name, 'float32', dims)),
    ],
    outputs: shapes.map(({ name, dims }) => value(`${name}_next`, 'float32', dims)),
    initializers: [
      initializer('rows', 'float32', [], [ROWS]),
      initializer('axis0', 'int64', [1], [0]),
      initializer('pixel_axes', 'int64', [2], [2, 3]),
      initializer('bias_axes', 'int64', [3], [0, 2, 3]),
      initializer('twice', 'float32', [4], [1, 1, 2, 2]),
      initializer('edge', 'int64', [8], [0, 0, 0, 0, 0, 0, 1, 1]),
    ],
    nodes,
  });
}

/** The gradients of a convolution's weight and bias, and of its input, from that of its Relu or of the pooling after it. */
function backward(layer: number, isLast: boolean) {
  const [input, out, sum, weight] = [
    layer === 0 ? 'x' : `pool${layer - 1}`,
    `out${layer}`,
    `sum${layer}`,
    `conv${layer}.weight`,
  ];
  const turned = (name: string) => node('Transpose', [name], [`${name}.turned`], { perm: [1n, 0n, 2n, 3n] });
  return [
    ...(isLast ? [] : unpool(layer)),
    node('Sign', [out], [`${out}.open`]),
    node('Mul', [`d_${out}`, `${out}.open`], [`d_${sum}`]),
    node('ReduceSum', [`d_${sum}`, 'bias_axes'], [`d_conv${layer}.bias`], { keepdims: 0n }),
    // Rows take the place of channels: the sum over them, and over the pixels, of the products at each offset.
    turned(input),
    turned(`d_${sum}`),
    node('Conv', [`${input}.turned`, `d_${sum}.turned`], [`d_${weight}.turned`], { pads: [1n, 1n, 1n, 1n] }),
    node('Transpose', [`d_${weight}.turned`], [`d_${weight}`], { perm: [1n, 0n, 2n, 3n] }),
    ...(layer === 0 ? [] : [node('ConvTranspose', [`d_${sum}`, weight], [`d_${input}`], PADDED)]),
  ];
}

/** The gradient goes to the pixels that are the maxima. A pixel at the edge of an odd side is in no square, and gets none. */
function unpool(layer: number) {
  const [out, pool] = [`out${layer}`, `pool${layer}`];
  const isOdd = (SIDE >> layer) % 2 === 1;
  const spread = (from: string, to: string) => [
    node('Resize', [from, '', 'twice'], [isOdd ? `${to}.even` : to], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    }),
    ...(isOdd ? [node('Pad', [`${to}.even`, 'edge'], [to])] : []),
  ];
  return [
    ...spread(pool, `${pool}.spread`),
    ...spread(`d_${pool}`, `d_${pool}.spread`),
    node('Equal', [out, `${pool}.spread`], [`${pool}.is_most`]),
    node('CastLike', [`${pool}.is_most`, out], [`${pool}.mask`]),
    node('Mul', [`d_${pool}.spread`, `${pool}.mask`], [`d_${out}`]),
  ];
}
