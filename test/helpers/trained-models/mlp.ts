import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { CLASSES, createImages, type LabelledImages, PIXELS } from './images.ts';
import { createRandom } from './random.ts';
import { type Parameter, train } from './train.ts';

/** A trained model and images that it was not trained on. */
export interface TrainedModel {
  /** Of the `.onnx` file: input `x` [rows, …], output `probabilities` [rows, CLASSES]. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly heldOut: LabelledImages;
  /** Further images, for calibration. */
  readonly samples: LabelledImages;
}

interface MlpOptions {
  /** Units of the hidden layers. Default: 1024 and 1024. */
  readonly hidden?: readonly number[];
  /** Default: 120, some seconds of one CPU for the default layers. */
  readonly steps?: number;
  /** Default: 2000. */
  readonly heldOutRows?: number;
}

const ROWS = 64;

/** Trains a multilayer perceptron on synthetic images, as a PyTorch export has it: Gemm with transposed weights, and Relu. */
export async function trainMlp({
  hidden = [1024, 1024],
  steps = 120,
  heldOutRows = 2000,
}: MlpOptions = {}): Promise<TrainedModel> {
  const sizes = [PIXELS, ...hidden, CLASSES];
  const random = createRandom(7);
  const parameters = sizes.slice(1).flatMap((units, layer): Parameter[] => {
    const inputs = sizes[layer]!;
    const spread = Math.sqrt(2 / inputs);
    const weight = Float32Array.from({ length: units * inputs }, () => spread * random.normal());
    return [
      { name: `layer${layer}.weight`, dims: [units, inputs], values: weight },
      { name: `layer${layer}.bias`, dims: [units], values: new Float32Array(units) },
    ];
  });
  const next = createImages(11);
  await train(trainingStep(sizes), parameters, next, {
    steps,
    rows: ROWS,
    rate: 0.2,
    classes: CLASSES,
    inputDims: [PIXELS],
  });
  return { bytes: modelOf(sizes, parameters), heldOut: next(heldOutRows), samples: next(256) };
}

function modelOf(sizes: readonly number[], parameters: readonly Parameter[]): Uint8Array<ArrayBuffer> {
  return model({
    name: 'mlp',
    inputs: [value('x', 'float32', ['rows', PIXELS])],
    outputs: [value('probabilities', 'float32', ['rows', CLASSES])],
    initializers: parameters.map(({ name, dims, values }) => initializer(name, 'float32', dims, values)),
    nodes: [
      ...forward(sizes),
      node('Softmax', [`sum${sizes.length - 2}`], ['probabilities'], { axis: -1n }, { name: 'Softmax' }),
    ],
  });
}

/** The layers: `sum0` is Gemm of `x`, `out0` its Relu, and so on; the last sum has no Relu. */
function forward(sizes: readonly number[]) {
  const last = sizes.length - 2;
  return sizes.slice(1).flatMap((_, layer) => {
    const inputs = [layer === 0 ? 'x' : `out${layer - 1}`, `layer${layer}.weight`, `layer${layer}.bias`];
    const gemm = node('Gemm', inputs, [`sum${layer}`], { transB: 1n }, { name: `Gemm_${layer}` });
    return layer === last
      ? [gemm]
      : [gemm, node('Relu', [`sum${layer}`], [`out${layer}`], {}, { name: `Relu_${layer}` })];
  });
}

/** Gradient descent on the cross-entropy of a softmax; see `TrainingStep`. */
function trainingStep(sizes: readonly number[]): Uint8Array {
  const last = sizes.length - 2;
  const nodes = [
    ...forward(sizes),
    node('Softmax', [`sum${last}`], ['p'], { axis: -1n }),
    node('Sub', ['p', 'target'], ['error']),
    node('Div', ['error', 'rows'], [`slope${last}`]),
  ];
  for (let layer = last; layer >= 0; layer--) {
    const [slope, weight, bias] = [`slope${layer}`, `layer${layer}.weight`, `layer${layer}.bias`];
    nodes.push(
      node('Gemm', [slope, layer === 0 ? 'x' : `out${layer - 1}`], [`${weight}.slope`], { transA: 1n }),
      node('ReduceSum', [slope, 'axis0'], [`${bias}.slope`], { keepdims: 0n }),
      ...[weight, bias].flatMap((name) => [
        node('Mul', [`${name}.slope`, 'rate'], [`${name}.change`]),
        node('Sub', [name, `${name}.change`], [`${name}_next`]),
      ]),
    );
    if (layer === 0) continue;
    nodes.push(
      node('MatMul', [slope, weight], [`back${layer - 1}`]),
      node('Sign', [`out${layer - 1}`], [`open${layer - 1}`]),
      node('Mul', [`back${layer - 1}`, `open${layer - 1}`], [`slope${layer - 1}`]),
    );
  }
  const parameters = sizes.slice(1).flatMap((units, layer) => [
    { name: `layer${layer}.weight`, dims: [units, sizes[layer]!] },
    { name: `layer${layer}.bias`, dims: [units] },
  ]);
  return model({
    name: 'mlp-training-step',
    inputs: [
      value('x', 'float32', ['rows', PIXELS]),
      value('target', 'float32', ['rows', CLASSES]),
      value('rate', 'float32', []),
      ...parameters.map(({ name, dims }) => value(name, 'float32', dims)),
    ],
    outputs: parameters.map(({ name, dims }) => value(`${name}_next`, 'float32', dims)),
    initializers: [initializer('rows', 'float32', [], [ROWS]), initializer('axis0', 'int64', [1], [0])],
    nodes,
  });
}
