import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { initializer, model, value } from '../../functions/onnx/proto/build.ts';
import { createRandom } from '../fuzz/random.ts';
import { type ConvNet, classify, createNet, mapParameters, train } from './conv-net.ts';
import { rounded, shuffled, writeModel } from './files.ts';
import { layerNodes, layerWeights, layerWidth, named } from './net-graph.ts';

/**
 * 64 pixels from 0 to 16, and the digit, a line. E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
 * Learning Repository, 1998 (CC BY 4.0), as scikit-learn ships it.
 */
const DATA = join(import.meta.dirname, 'digits.csv.gz');
const SEED = 1998;
const TRAINING_ROWS = 1400;
export const BLACK = 16;
export const SIDE = 8;

export interface Digit {
  /** [8, 8], from 0 to 16. */
  readonly pixels: readonly number[];
  readonly label: number;
}

/** A net, and the pictures that it was not trained on. */
export interface TrainedDigits {
  readonly net: ConvNet;
  readonly others: readonly Digit[];
  /** One of `others` for each digit. */
  readonly shown: readonly Digit[];
}

export function trainDigits(): TrainedDigits {
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
  return { net, others, shown: Array.from({ length: 10 }, (_, label) => others.find((one) => one.label === label)!) };
}

/** Writes the folder of the model. @returns its accuracy on the pictures that it was not trained on */
export function makeDigits(folder: string, { net, others, shown }: TrainedDigits): string {
  const probabilities = (digit: Digit) => classify(net, scaled(digit));
  const right = others.filter((digit) => indexOfMaximum(probabilities(digit)) === digit.label).length;
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

const scaled = ({ pixels }: Digit): Float64Array => Float64Array.from(pixels, (pixel) => pixel / BLACK);

const rowsOf = ({ pixels }: Digit): number[][] =>
  Array.from({ length: SIDE }, (_, y) => pixels.slice(y * SIDE, (y + 1) * SIDE));

export const indexOfMaximum = (numbers: readonly number[]): number => numbers.indexOf(Math.max(...numbers));

/** As `torch.onnx.export(dynamo=True)` writes the module of examples/digits/export.py. */
function toOnnx(net: ConvNet): Uint8Array {
  return model({
    name: 'main_graph',
    producer: 'pytorch',
    opset: 18,
    irVersion: 10,
    nodes: [
      named(0, 'Div', ['pixels', 'lightest'], ['div']),
      named(1, 'Unsqueeze', ['div', 'axes'], ['unsqueeze']),
      ...layerNodes('pixels', 'unsqueeze', 'linear', 2),
      named(12, 'Softmax', ['linear'], ['probabilities'], { axis: 1n }),
    ],
    initializers: [
      ...layerWeights(net),
      initializer('lightest', 'float32', [], [BLACK]),
      initializer('axes', 'int64', [1], [1]),
      layerWidth(net),
    ],
    inputs: [value('pixels', 'float32', ['batch', SIDE, SIDE])],
    outputs: [value('probabilities', 'float32', ['batch', 10])],
  });
}
