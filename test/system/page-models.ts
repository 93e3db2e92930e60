import { DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { initializer, model, node, type Shape, value } from '../../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../../functions/onnx/proto/onnx_pb.ts';
import { addConstant, fixedBatch, identity, manyInputs, noShape, twoOutputs, writeModel } from '../helpers/models.ts';

/** Numbers between -1 and 1 that are the same at each run. */
const weights = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.round(Math.sin(i * 7) * 1000) / 1000);

/** `y` = `x` [N,width] times weights [width,scores], after other operators. */
function linear(
  width: number,
  scores: number,
  after: NodeProto[],
  outputs = [value('scores', 'float32', ['N', scores])],
) {
  return model({
    name: 'linear',
    nodes: [node('MatMul', ['x', 'w'], ['z']), ...after],
    initializers: [initializer('w', 'float32', [width, scores], weights(width * scores))],
    inputs: [value('x', 'float32', ['N', width])],
    outputs,
  });
}

function simple(
  input: [dtype: 'float32' | 'int64', shape: Shape],
  output: [dtype: 'float32' | 'int64', shape: Shape],
  nodes: NodeProto[],
  initializers: TensorProto[] = [],
) {
  return model({
    name: 'simple',
    nodes,
    initializers,
    inputs: [value('x', ...input)],
    outputs: [value('y', ...output)],
  });
}

/** The mean of each channel of a picture [N,3,32,32], as scores of three colours. */
const colours = () =>
  model({
    name: 'colours',
    nodes: [
      node('ReduceMean', ['image'], ['mean'], { axes: [2n, 3n], keepdims: 0n }),
      node('Softmax', ['mean'], ['colour']),
    ],
    inputs: [value('image', 'float32', ['N', 3, 32, 32])],
    outputs: [value('colour', 'float32', ['N', 3])],
  });

/** The sum of the ids of a text of any length, without those that the mask hides. */
const text = () =>
  model({
    name: 'text',
    nodes: [
      node('Mul', ['input_ids', 'attention_mask'], ['seen']),
      node('Cast', ['seen'], ['floats'], { to: BigInt(DATA_TYPES.float32) }),
      node('ReduceSum', ['floats', 'last'], ['score'], { keepdims: 1n }),
    ],
    initializers: [initializer('last', 'int64', [1], [1])],
    inputs: [value('input_ids', 'int64', ['N', 'T']), value('attention_mask', 'int64', ['N', 'T'])],
    outputs: [value('score', 'float32', ['N', 1])],
  });

const CUSTOMER = [
  'monthly_charges',
  'tenure_months',
  'support_calls',
  'contract',
  'paperless_billing',
  'average_download_speed_in_megabits',
];
const CLASSES = Array.from({ length: 1000 }, (_, i) => `class ${i}, a name as long as those of ImageNet`);

/** A model of each kind that the page has a form for, by name: file, manifest, golden rows. */
export const KINDS: Readonly<Record<string, () => [bytes: Uint8Array, manifest?: object, golden?: object]>> = {
  churn: () => [
    linear(6, 2, [node('Softmax', ['z'], ['scores'])]),
    {
      description: 'Whether a customer leaves within three months, by the contract and the use of the last half year.',
      input: { features: CUSTOMER, categories: { contract: [0, 1, 2], paperless_billing: [0, 1] } },
      classes: ['stays', 'leaves'],
    },
    {
      tolerance: 1,
      rows: [
        [29.5, 24, 0, 1, 0, 80],
        [95.1, 2, 5, 0, 1, 120],
        [54, 60, 1, 2, 1, 'NaN'],
        [70.35, 12, 2, 0, 0, 40],
        [20.05, 71, 0, 2, 0, 100],
      ].map((features, i) => ({ features, outputs: i === 2 ? {} : { scores: i % 2 === 0 ? [0.9, 0.1] : [0.2, 0.8] } })),
    },
  ],
  vector: () => [
    simple(
      ['float32', ['N', 8]],
      ['float32', ['N', 1]],
      [node('ReduceSum', ['x', 'last'], ['y'], { keepdims: 1n })],
      [initializer('last', 'int64', [1], [1])],
    ),
  ],
  table: () => [manyInputs(), { input: { categories: { city: ['Oslo', 'Rome'] } } }],
  words: () => [identity('string', ['N', 2])],
  image: () => [colours(), { classes: ['red', 'green', 'blue'] }],
  picture: () => [identity('float32', ['N', 1, 16, 16], { input: 'low', output: 'high' })],
  text: () => [text()],
  outputs: () => [twoOutputs()],
  logits: () => [linear(4, 1000, [node('Identity', ['z'], ['scores'])]), { classes: CLASSES, activation: 'softmax' }],
  tags: () => [
    linear(3, 5, [node('Sigmoid', ['z'], ['scores'])]),
    { classes: ['urgent', 'billing', 'bug', 'praise', 'spam'] },
  ],
  margins: () => [linear(3, 4, [node('Identity', ['z'], ['scores'])])],
  integers: () => [
    linear(4, 3, [node('ArgMax', ['z'], ['label'], { axis: 1n, keepdims: 0n })], [value('label', 'int64', ['N'])]),
  ],
  missing: () => [
    simple(
      ['float32', ['N', 3]],
      ['float32', ['N', 3]],
      [node('IsNaN', ['x'], ['gone']), node('Where', ['gone', 'zero', 'x'], ['y'])],
      [initializer('zero', 'float32', [], [0])],
    ),
    { input: { features: ['a', 'b', 'c'] }, example: { features: ['NaN', 1, 2] } },
  ],
  fixed: () => [fixedBatch()],
  'any-rank': () => [noShape()],
  wide: () => [
    linear(200, 2, [node('Softmax', ['z'], ['scores'])]),
    { input: { features: Array.from({ length: 200 }, (_, i) => `sensor_${i}_mean`) } },
  ],
};

/** Writes a repository of all of them, and of one with several versions. */
export function writeKinds(folder: string): void {
  for (const [name, kind] of Object.entries(KINDS)) {
    const [bytes, manifest, golden] = kind();
    writeModel(folder, name, bytes, manifest, golden);
  }
  for (const version of [1, 2, 3]) writeModel(folder, `versions/${version}`, addConstant(version));
}
