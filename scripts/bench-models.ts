/**
 * The models of the benchmarks, generated from a seed: the bytes are the same each time, and nothing is downloaded.
 * Writes `<folder>/<name>/model.onnx` and model.json for each of BENCH_MODELS.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializer, model, node, value } from '../functions/onnx/proto/build.ts';
import type { NodeProto, TensorProto } from '../functions/onnx/proto/onnx_pb.ts';
import { randomNumbers } from './bench/media/random.ts';
import { readCommandLine } from './command-line.ts';

interface BenchModel {
  readonly name: string;
  readonly description: string;
  readonly bytes: () => Uint8Array;
  /** The `features` of the manifest's example, if they are small enough to read. */
  readonly example?: () => unknown;
}

/** The models. Times are those of one run on one thread of a 2-core cloud machine. */
export const BENCH_MODELS: readonly BenchModel[] = [
  {
    name: 'mlp',
    description: 'Multi-layer perceptron, 784-1024-1024-10, float32: under 1 ms a row, 7 MB of weights.',
    bytes: mlp,
    example: () => Array.from({ length: 784 }, (_, i) => (i % 10) / 10),
  },
  {
    name: 'conv-small',
    description: 'Convolution net, about 50 ms a run for an input of 12 kB: [1,3,32,32], enlarged inside the graph.',
    bytes: () => convolutionNet(32),
  },
  {
    name: 'conv-image',
    description: 'Convolution net, about 50 ms a run for an input of 602 kB: [1,3,224,224].',
    bytes: () => convolutionNet(224),
  },
];

/** `x` float32 [N,784] -> `probabilities` float32 [N,10]. */
export function mlp(): Uint8Array {
  const random = randomNumbers(784);
  const sizes = [784, 1024, 1024, 10];
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  let from = 'x';
  for (let layer = 1; layer < sizes.length; layer++) {
    const [inputs, outputs] = [sizes[layer - 1]!, sizes[layer]!];
    initializers.push(weights(`w${layer}`, [inputs, outputs], inputs, random));
    initializers.push(initializer(`b${layer}`, 'float32', [outputs], new Float32Array(outputs)));
    nodes.push(node('Gemm', [from, `w${layer}`, `b${layer}`], [`s${layer}`]));
    from = `s${layer}`;
    if (layer < sizes.length - 1) {
      nodes.push(node('Relu', [from], [`h${layer}`]));
      from = `h${layer}`;
    }
  }
  nodes.push(node('Softmax', [from], ['probabilities'], { axis: 1n }));
  return model({
    name: 'mlp',
    nodes,
    initializers,
    inputs: [value('x', 'float32', ['N', 784])],
    outputs: [value('probabilities', 'float32', ['N', 10])],
  });
}

/** Filters and number of 3x3 convolutions in each stage; the first of a stage halves width and height. */
const STAGES = [
  [64, 5],
  [128, 3],
  [256, 2],
  [512, 1],
] as const;

/**
 * `image` float32 [1,3,size,size] -> `probabilities` float32 [1,10]; `size` divides 224, to which the image is enlarged
 * first. The batch is fixed, as exporters of image models write it.
 */
function convolutionNet(size: number): Uint8Array {
  const random = randomNumbers(224);
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  let from = 'image';
  if (size < 224) {
    initializers.push(initializer('scales', 'float32', [4], [1, 1, 224 / size, 224 / size]));
    const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
    nodes.push(node('Resize', [from, '', 'scales'], ['enlarged'], nearest));
    from = 'enlarged';
  }
  let channels = 3;
  const layers = STAGES.flatMap(([filters, count]) =>
    Array.from({ length: count }, (_, i) => ({ filters, stride: i === 0 ? 2n : 1n })),
  );
  for (const [i, { filters, stride }] of layers.entries()) {
    initializers.push(weights(`k${i}`, [filters, channels, 3, 3], channels * 9, random));
    initializers.push(initializer(`b${i}`, 'float32', [filters], new Float32Array(filters)));
    const geometry = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], strides: [stride, stride] };
    nodes.push(node('Conv', [from, `k${i}`, `b${i}`], [`c${i}`], geometry), node('Relu', [`c${i}`], [`r${i}`]));
    from = `r${i}`;
    channels = filters;
  }
  initializers.push(weights('w', [channels, 10], channels, random));
  nodes.push(
    node('GlobalAveragePool', [from], ['pooled']),
    node('Flatten', ['pooled'], ['flat']),
    node('MatMul', ['flat', 'w'], ['scores']),
    node('Softmax', ['scores'], ['probabilities'], { axis: 1n }),
  );
  return model({
    name: 'convolution-net',
    nodes,
    initializers,
    inputs: [value('image', 'float32', [1, 3, size, size])],
    outputs: [value('probabilities', 'float32', [1, 10])],
  });
}

/** Uniform weights whose scale keeps the size of the signal from layer to layer (He et al., 2015). */
function weights(name: string, dims: number[], fanIn: number, random: () => number): TensorProto {
  const limit = Math.sqrt(6 / fanIn);
  const count = dims.reduce((product, dim) => product * dim, 1);
  return initializer(
    name,
    'float32',
    dims,
    Float32Array.from({ length: count }, () => (2 * random() - 1) * limit),
  );
}

/** Writes the folders `<dir>/<name>` of all BENCH_MODELS, and returns their paths. */
export function writeBenchModels(dir: string): string[] {
  return BENCH_MODELS.map(({ name, description, bytes, example }) => {
    const folder = join(dir, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'model.onnx'), bytes());
    const manifest = { name, description, ...(example && { example: { features: example() } }) };
    writeFileSync(join(folder, 'model.json'), `${JSON.stringify(manifest)}\n`);
    return folder;
  });
}

if (import.meta.main) {
  const usage = `node scripts/bench-models.ts: writes the models of the benchmarks, each into a folder of its own.

Usage: node scripts/bench-models.ts FOLDER

Models: ${BENCH_MODELS.map(({ name, description }) => `\n  ${name.padEnd(12)}${description}`).join('')}`;
  const { positionals } = readCommandLine(usage, {}, [1, 1]);
  for (const folder of writeBenchModels(positionals[0]!)) console.log(folder);
}
