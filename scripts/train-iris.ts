/**
 * Trains the bundled model: multinomial logistic regression on Fisher's iris data, in float64 and in a fixed number of
 * steps, so that every run on every machine gives the same bytes.
 *
 * Writes model.onnx, model.json and golden.json to the folder, and prints the accuracy on rows that were not used for training.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializer, model, node, value } from '../functions/onnx/proto/build.ts';
import { readCommandLine } from './command-line.ts';

interface Row {
  readonly features: readonly number[];
  readonly label: number;
}

/** Scores of a row are `weights`ᵀ · features + `bias`; `weights` has a row for each feature and a column for each class. */
interface Classifier {
  readonly weights: readonly (readonly number[])[];
  readonly bias: readonly number[];
}

const HOME = join(import.meta.dirname, '..', 'models', 'iris');
const SEED = 1936;
const HELD_OUT_OF_EACH_CLASS = 15;
const STEPS = 2000;
const STEP_SIZE = 1;
/** Strength of the L2 penalty for each training row: scikit-learn's C = 1. */
const PENALTY = 1;

/** The file's first line is `rows,features,class names…`; the others are the features and the class's number. */
function readCsv(path: string): { rows: Row[]; classes: string[] } {
  const [header = '', ...lines] = readFileSync(path, 'utf8').trim().split(/\r?\n/);
  const rows = lines.map((line) => {
    const numbers = line.split(',').map(Number);
    return { features: numbers.slice(0, -1), label: numbers.at(-1)! };
  });
  return { rows, classes: header.split(',').slice(2) };
}

/** Uniform numbers in [0, 1): mulberry32, 32-bit integer arithmetic alone. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Shuffles each class, and excludes the same number of rows of each from training. */
function split(rows: readonly Row[], classCount: number): { train: Row[]; heldOut: Row[] } {
  const random = randomNumbers(SEED);
  const train: Row[] = [];
  const heldOut: Row[] = [];
  for (let label = 0; label < classCount; label++) {
    const group = rows.filter((row) => row.label === label);
    for (let i = group.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [group[i], group[j]] = [group[j]!, group[i]!];
    }
    heldOut.push(...group.slice(0, HELD_OUT_OF_EACH_CLASS));
    train.push(...group.slice(HELD_OUT_OF_EACH_CLASS));
  }
  return { train, heldOut };
}

/** Full-batch gradient descent on standardised features; the scaling is folded into the weights it gives. */
function fit(rows: readonly Row[], featureCount: number, classCount: number): Classifier {
  const features = [...Array(featureCount).keys()];
  const classes = [...Array(classCount).keys()];
  const average = (pick: (row: Row) => number) => rows.reduce((sum, row) => sum + pick(row), 0) / rows.length;
  const means = features.map((f) => average((row) => row.features[f]!));
  const scales = features.map((f) => Math.sqrt(average((row) => (row.features[f]! - means[f]!) ** 2)));
  const scaled = rows.map(({ features: raw, label }) => {
    return { features: raw.map((x, f) => (x - means[f]!) / scales[f]!), label };
  });

  let weights = features.map(() => classes.map(() => 0));
  let bias = classes.map(() => 0);
  for (let step = 0; step < STEPS; step++) {
    const errors = scaled.map((row) => {
      return { row, error: probabilities({ weights, bias }, row.features).map((p, c) => p - Number(c === row.label)) };
    });
    const slope = (c: number, pick: (row: Row) => number) =>
      errors.reduce((sum, { row, error }) => sum + error[c]! * pick(row), 0) / rows.length;
    weights = weights.map((column, f) =>
      column.map((w, c) => w - STEP_SIZE * (slope(c, (row) => row.features[f]!) + (PENALTY / rows.length) * w)),
    );
    bias = bias.map((b, c) => b - STEP_SIZE * slope(c, () => 1));
  }

  // Six decimals are more than the data supports, and hide the last bit, in which Math.exp of another engine may differ.
  const round = (x: number) => Math.round(x * 1e6) / 1e6;
  return {
    weights: weights.map((column, f) => column.map((w) => round(w / scales[f]!))),
    bias: bias.map((b, c) => round(features.reduce((sum, f) => sum - (weights[f]![c]! * means[f]!) / scales[f]!, b))),
  };
}

/** Softmax of the scores: a number for each class, which add up to 1. */
function probabilities({ weights, bias }: Classifier, features: readonly number[]): number[] {
  const scores = bias.map((b, c) => features.reduce((sum, x, f) => sum + x * weights[f]![c]!, b));
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/** `features` float32 [N,4] -> `label` int64 [N], `probabilities` float32 [N,3]. */
function toOnnx({ weights, bias }: Classifier): Uint8Array {
  return model({
    name: 'iris',
    nodes: [
      node('Gemm', ['features', 'weights', 'bias'], ['scores']),
      node('Softmax', ['scores'], ['probabilities'], { axis: 1n }),
      node('ArgMax', ['scores'], ['label'], { axis: 1n, keepdims: 0n }),
    ],
    initializers: [
      initializer('weights', 'float32', [weights.length, bias.length], weights.flat()),
      initializer('bias', 'float32', [bias.length], bias),
    ],
    inputs: [value('features', 'float32', ['N', weights.length])],
    outputs: [value('label', 'int64', ['N']), value('probabilities', 'float32', ['N', bias.length])],
  });
}

const predict = (classifier: Classifier, features: readonly number[]) => {
  const all = probabilities(classifier, features);
  return { label: all.indexOf(Math.max(...all)), probabilities: all };
};

const USAGE = `node scripts/train-iris.ts: trains the bundled model: the same bytes on every machine.

Usage: node scripts/train-iris.ts [FOLDER]

  FOLDER   receives model.onnx, model.json and golden.json; default: models/iris`;
const { positionals } = readCommandLine(USAGE, {}, [0, 1]);

const { rows, classes } = readCsv(join(HOME, 'iris.csv'));
const { train, heldOut } = split(rows, classes.length);
const classifier = fit(train, 4, classes.length);
const right = heldOut.filter((row) => predict(classifier, row.features).label === row.label).length;

const manifest = {
  name: 'iris',
  version: '1',
  description: 'Species of an iris flower by the length and width of its sepals and petals, in centimetres.',
  input: { features: ['sepal_length', 'sepal_width', 'petal_length', 'petal_width'] },
  output: 'label',
  classes,
  example: { features: [5.1, 3.5, 1.4, 0.2] },
};

/** Two held-out rows of each class. The expected outputs are this script's own, so they check the runtime too. */
const golden = classes.flatMap((_, label) => {
  const group = heldOut.filter((row) => row.label === label).slice(0, 2);
  return group.map(({ features }) => {
    const { label, probabilities } = predict(classifier, features);
    return { features, outputs: { label, probabilities: probabilities.map((p) => Number(p.toFixed(6))) } };
  });
});
const goldenLines = golden.map((row) => `    ${JSON.stringify(row)}`).join(',\n');

const folder = positionals[0] ?? HOME;
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'model.onnx'), toOnnx(classifier));
writeFileSync(join(folder, 'model.json'), `${JSON.stringify(manifest, null, 2)}\n`);
writeFileSync(join(folder, 'golden.json'), `{\n  "tolerance": 1e-4,\n  "rows": [\n${goldenLines}\n  ]\n}\n`);
console.log(`held-out accuracy ${(right / heldOut.length).toFixed(3)} (${right} of ${heldOut.length} rows)`);
