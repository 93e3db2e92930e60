import type { Random } from '../fuzz/random.ts';
import { normal, shuffled } from './files.ts';

/** A convolution of 3 x 3, padded so that it keeps the size: `weights` [to, from, 3, 3], `bias` [to]. */
interface Convolution {
  readonly from: number;
  readonly to: number;
  readonly size: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** `weights` [to, from], `bias` [to]. */
interface Linear {
  readonly from: number;
  readonly to: number;
  readonly weights: Float64Array;
  readonly bias: Float64Array;
}

/** Two convolutions, each with ReLU and 2 x 2 max pooling, and a linear layer: [1, 8, 8] to the scores of ten classes. */
export interface ConvNet {
  readonly first: Convolution;
  readonly second: Convolution;
  readonly last: Linear;
}

const SIDE = 8;
const CLASSES = 10;
const CHANNELS = [6, 12] as const;

const random64 = (random: Random, length: number, deviation: number): Float64Array =>
  Float64Array.from({ length }, () => normal(random) * deviation);

/** A net with He's initial weights. */
export function createNet(random: Random): ConvNet {
  const convolution = (from: number, to: number, size: number): Convolution => {
    const weights = random64(random, to * from * 9, Math.sqrt(2 / (from * 9)));
    return { from, to, size, weights, bias: new Float64Array(to) };
  };
  const from = CHANNELS[1] * (SIDE / 4) ** 2;
  return {
    first: convolution(1, CHANNELS[0], SIDE),
    second: convolution(CHANNELS[0], CHANNELS[1], SIDE / 2),
    last: {
      from,
      to: CLASSES,
      weights: random64(random, CLASSES * from, Math.sqrt(1 / from)),
      bias: new Float64Array(CLASSES),
    },
  };
}

/** The weights and biases of a net, in a fixed order. */
export const parametersOf = ({ first, second, last }: ConvNet): Float64Array[] =>
  [first, second, last].flatMap(({ weights, bias }) => [weights, bias]);

const zerosLike = (net: ConvNet): ConvNet => mapped(net, ({ length }) => new Float64Array(length));

function mapped({ first, second, last }: ConvNet, map: (values: Float64Array) => Float64Array): ConvNet {
  const of = <T extends Linear | Convolution>(layer: T): T => ({
    ...layer,
    weights: map(layer.weights),
    bias: map(layer.bias),
  });
  return { first: of(first), second: of(second), last: of(last) };
}

/** The same net, with every parameter passed through `map`. */
export const mapParameters = (net: ConvNet, map: (x: number) => number): ConvNet =>
  mapped(net, (values) => values.map(map));

/** Calls `visit` for each weight that is multiplied: the indices of its input, its weight and its output. */
function eachProduct(
  { from, to, size }: Convolution,
  visit: (input: number, weight: number, output: number) => void,
): void {
  for (let out = 0; out < to; out++) {
    for (let channel = 0; channel < from; channel++) {
      for (let ky = 0; ky < 3; ky++) {
        for (let kx = 0; kx < 3; kx++) {
          const weight = ((out * from + channel) * 3 + ky) * 3 + kx;
          for (let y = Math.max(0, 1 - ky); y < Math.min(size, size + 1 - ky); y++) {
            for (let x = Math.max(0, 1 - kx); x < Math.min(size, size + 1 - kx); x++) {
              visit((channel * size + y + ky - 1) * size + x + kx - 1, weight, (out * size + y) * size + x);
            }
          }
        }
      }
    }
  }
}

/** What a convolution with ReLU and pooling gives, and from which elements the maxima are. */
interface Pooled {
  readonly values: Float64Array;
  readonly from: Int32Array;
}

function convolveAndPool(layer: Convolution, input: Float64Array): Pooled {
  const { size, to, weights, bias } = layer;
  const area = size * size;
  const output = Float64Array.from({ length: to * area }, (_, i) => bias[Math.floor(i / area)]!);
  eachProduct(layer, (i, w, o) => {
    output[o]! += input[i]! * weights[w]!;
  });
  const half = size / 2;
  const values = new Float64Array((to * area) / 4);
  const from = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const [channel, y, x] = [Math.floor(i / (half * half)), Math.floor(i / half) % half, i % half];
    const corner = (channel * size + 2 * y) * size + 2 * x;
    const places = [corner, corner + 1, corner + size, corner + size + 1];
    const best = places.reduce((a, b) => (output[b]! > output[a]! ? b : a));
    from[i] = output[best]! > 0 ? best : -1;
    values[i] = Math.max(0, output[best]!);
  }
  return { values, from };
}

function forward({ first, second, last }: ConvNet, pixels: Float64Array) {
  const one = convolveAndPool(first, pixels);
  const two = convolveAndPool(second, one.values);
  const scores = last.bias.map((b, c) =>
    two.values.reduce((sum, x, i) => sum + x * last.weights[c * last.from + i]!, b),
  );
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return { one, two, scores, probabilities: powers.map((power) => power / total) };
}

/** The scores of the ten classes, before softmax. @param pixels [8, 8] */
export const scoresOf = (net: ConvNet, pixels: Float64Array): number[] => Array.from(forward(net, pixels).scores);

/** The probabilities of the ten classes. @param pixels [8, 8] */
export const classify = (net: ConvNet, pixels: Float64Array): number[] =>
  Array.from(forward(net, pixels).probabilities);

/** Adds the gradient of one picture's cross-entropy to `sum`. */
function backward(net: ConvNet, pixels: Float64Array, label: number, sum: ConvNet): void {
  const { first, second, last } = net;
  const { one, two, probabilities } = forward(net, pixels);
  const errors = probabilities.map((p, c) => p - Number(c === label));
  const toTwo = new Float64Array(two.values.length);
  for (const [c, error] of errors.entries()) {
    sum.last.bias[c]! += error;
    for (let i = 0; i < last.from; i++) {
      sum.last.weights[c * last.from + i]! += error * two.values[i]!;
      toTwo[i]! += error * last.weights[c * last.from + i]!;
    }
  }
  const toOne = new Float64Array(one.values.length);
  backwardThrough(second, one.values, two, toTwo, sum.second, toOne);
  backwardThrough(first, pixels, one, toOne, sum.first, new Float64Array(pixels.length));
}

function backwardThrough(
  layer: Convolution,
  input: Float64Array,
  pooled: Pooled,
  errors: Float64Array,
  sum: Convolution,
  toInput: Float64Array,
): void {
  const area = layer.size * layer.size;
  const toOutput = new Float64Array(layer.to * area);
  for (const [i, place] of pooled.from.entries()) {
    if (place === -1) continue;
    toOutput[place] = errors[i]!;
    sum.bias[Math.floor(place / area)]! += errors[i]!;
  }
  eachProduct(layer, (i, w, o) => {
    const error = toOutput[o]!;
    if (error === 0) return;
    sum.weights[w]! += error * input[i]!;
    toInput[i]! += error * layer.weights[w]!;
  });
}

const EPOCHS = 15;
const BATCH = 32;
const STEP_SIZE = 0.003;
const [DECAY, SQUARE_DECAY, EPSILON] = [0.9, 0.999, 1e-8];

/** Trains a net in place with Adam. @param images [8, 8] each, from 0 to 1 */
export function train(net: ConvNet, images: readonly Float64Array[], labels: readonly number[], random: Random): void {
  const parameters = parametersOf(net);
  const moments = [zerosLike(net), zerosLike(net)].map(parametersOf) as [Float64Array[], Float64Array[]];
  const all = images.map((_, i) => i);
  let step = 0;
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    const order = shuffled(all, random);
    for (let from = 0; from < order.length; from += BATCH) {
      const batch = order.slice(from, from + BATCH);
      const gradient = zerosLike(net);
      for (const at of batch) backward(net, images[at]!, labels[at]!, gradient);
      step++;
      for (const [k, slope] of parametersOf(gradient).entries()) {
        const [means, squares, own] = [moments[0][k]!, moments[1][k]!, parameters[k]!];
        for (let i = 0; i < slope.length; i++) {
          const g = slope[i]! / batch.length;
          means[i] = DECAY * means[i]! + (1 - DECAY) * g;
          squares[i] = SQUARE_DECAY * squares[i]! + (1 - SQUARE_DECAY) * g * g;
          const scale = Math.sqrt(squares[i]! / (1 - SQUARE_DECAY ** step)) + EPSILON;
          own[i]! -= (STEP_SIZE * means[i]!) / (1 - DECAY ** step) / scale;
        }
      }
    }
  }
}
