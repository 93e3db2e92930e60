import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { createRandom } from '../fuzz/random.ts';
import { type ConvNet, classify, createNet, mapParameters, train } from './conv-net.ts';
import { rounded, shuffled, writeModel } from './files.ts';

/**
 * 64 pixels from 0 to 16, and the digit, a line. E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
 * Learning Repository, 1998 (CC BY 4.0), as scikit-learn ships it.
 */
const DATA = join(import.meta.dirname, 'digits.csv.gz');
const SEED = 1998;
const TRAINING_ROWS = 1400;
const LIGHTEST = 16;
const SIDE = 8;

interface Digit {
  /** [8, 8], from 0 to 16. */
  readonly pixels: readonly number[];
  readonly label: number;
}

/** Trains the net, and writes its folder. @returns its accuracy on the pictures that it was not trained on */
export function makeDigits(folder: string): string {
  const random = createRandom(SEED);
  const digits = shuffled(readDigits(), random);
  const known = digits.slice(0, TRAINING_ROWS);
  const others = digits.slice(TRAINING_ROWS);
  const trained = createNet(random);
  train(
    trained,
    known.map(scaled),
    known.map(({ label }) => label),
    random,
  );
  const net = mapParameters(trained, (x) => Math.fround(Number(x.toFixed(4))));
  const probabilities = (digit: Digit) => classify(net, scaled(digit));
  const right = others.filter((digit) => indexOfMaximum(probabilities(digit)) === digit.label).length;
  // One picture of each digit.
  const shown = Array.from({ length: 10 }, (_, label) => others.find((digit) => digit.label === label)!);
  writeModel(folder, {
    model: toOnnx(net),
    manifest: {
      description: 'A handwritten digit of 8 x 8 pixels, each from 0 (white) to 16 (black).',
      output: 'probabilities',
      classes: shown.map(({ label }) => String(label)),
      example: { features: rowsOf(others[0]!) },
    },
    golden: shown.map((digit) => {
      return { features: rowsOf(digit), outputs: { probabilities: probabilities(digit).map(rounded) } };
    }),
  });
  return `digits: accuracy ${(right / others.length).toFixed(3)} on ${others.length} other pictures`;
}

function readDigits(): Digit[] {
  const lines = gunzipSync(readFileSync(DATA)).toString().trim().split('\n');
  return lines.map((line) => {
    const numbers = line.split(',').map(Number);
    return { pixels: numbers.slice(0, -1), label: numbers.at(-1)! };
  });
}

const scaled = ({ pixels }: Digit): Float64Array => Float64Array.from(pixels, (pixel) => pixel / LIGHTEST);

const rowsOf = ({ pixels }: Digit): number[][] =>
  Array.from({ length: SIDE }, (_, y) => pixels.slice(y * SIDE, (y + 1) * SIDE));

const indexOfMaximum = (numbers: readonly number[]): number => numbers.indexOf(Math.max(...numbers));

/** As `torch.onnx.export(dynamo=True)` writes the module of examples/digits/export.py. */
function toOnnx({ first, second, last }: ConvNet): Uint8Array {
  const convolution = { group: 1n, pads: [1n, 1n, 1n, 1n], auto_pad: 'NOTSET', strides: [1n, 1n], dilations: [1n, 1n] };
  const pooling = {
    storage_order: 0n,
    dilations: [1n, 1n],
    ceil_mode: 0n,
    pads: [0n, 0n, 0n, 0n],
    auto_pad: 'NOTSET',
    strides: [2n, 2n],
    kernel_shape: [2n, 2n],
  };
  const named = (index: number, type: string, ...rest: [string[], string[], Parameters<typeof node>[3]?]) =>
    node(type, rest[0], rest[1], rest[2], { name: `node_${type}_${index}` });
  const size = last.from;
  return model({
    name: 'main_graph',
    producer: 'pytorch',
    opset: 18,
    irVersion: 10,
    nodes: [
      named(0, 'Div', ['pixels', 'lightest'], ['div']),
      named(1, 'Unsqueeze', ['div', 'axes'], ['unsqueeze']),
      named(2, 'Conv', ['unsqueeze', 'layers.0.weight', 'layers.0.bias'], ['conv2d'], convolution),
      named(3, 'Relu', ['conv2d'], ['relu']),
      named(4, 'MaxPool', ['relu'], ['max_pool2d'], pooling),
      named(5, 'Conv', ['max_pool2d', 'layers.3.weight', 'layers.3.bias'], ['conv2d_1'], convolution),
      named(6, 'Relu', ['conv2d_1'], ['relu_1']),
      named(7, 'MaxPool', ['relu_1'], ['max_pool2d_1'], pooling),
      named(8, 'Shape', ['pixels'], ['val_0'], { end: 1n, start: 0n }),
      named(9, 'Concat', ['val_0', 'width'], ['val_1'], { axis: 0n }),
      named(10, 'Reshape', ['max_pool2d_1', 'val_1'], ['view'], { allowzero: 1n }),
      named(11, 'Gemm', ['view', 'layers.7.weight', 'layers.7.bias'], ['linear'], {
        beta: 1,
        transB: 1n,
        alpha: 1,
        transA: 0n,
      }),
      named(12, 'Softmax', ['linear'], ['probabilities'], { axis: 1n }),
    ],
    initializers: [
      ...[first, second].flatMap(({ from, to, weights, bias }, i) => [
        initializer(`layers.${3 * i}.weight`, 'float32', [to, from, 3, 3], Array.from(weights)),
        initializer(`layers.${3 * i}.bias`, 'float32', [to], Array.from(bias)),
      ]),
      initializer('layers.7.weight', 'float32', [last.to, size], Array.from(last.weights)),
      initializer('layers.7.bias', 'float32', [last.to], Array.from(last.bias)),
      initializer('lightest', 'float32', [], [LIGHTEST]),
      initializer('axes', 'int64', [1], [1]),
      initializer('width', 'int64', [1], [size]),
    ],
    inputs: [value('pixels', 'float32', ['batch', SIDE, SIDE])],
    outputs: [value('probabilities', 'float32', ['batch', 10])],
  });
}
