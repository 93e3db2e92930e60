import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { model, node, value } from '../../functions/onnx/proto/build.ts';
import { createRandom, type Random } from '../fuzz/random.ts';
import { rounded, uniform, writeModel } from './files.ts';
import { fitLogistic, type Logistic, probability } from './logistic.ts';

const SEED = 2026;
const ROWS = 300;
const TRAINING_ROWS = 240;
const GOLDEN_ROWS = 5;
const DAY_MS = 86_400_000;
const FEATURES = 5;

interface Invoice {
  readonly amount: number;
  readonly issued: string;
  readonly due: string;
  readonly history: readonly { readonly due: string; readonly paid: string }[];
}

/** StandardScaler and LogisticRegression. */
interface Pipeline {
  readonly means: readonly number[];
  readonly scales: readonly number[];
  readonly classifier: Logistic;
}

/** Draws invoices, trains the classifier on what is computed of them, and writes both. @returns its accuracy on other invoices */
export function makeInvoices(folder: string): string {
  const random = createRandom(SEED);
  const drawn = Array.from({ length: ROWS }, () => draw(random));
  const others = drawn.slice(TRAINING_ROWS);
  const pipeline = fit(drawn.slice(0, TRAINING_ROWS));
  const late = (invoice: Invoice) => probability(pipeline.classifier, scaled(pipeline, featuresOf(invoice)));
  const right = others.filter(({ invoice, isLate }) => late(invoice) > 0.5 === isLate).length;
  mkdirSync(folder, { recursive: true });
  const lines = drawn.map(({ invoice, isLate }) => JSON.stringify({ ...invoice, late: Number(isLate) }));
  writeFileSync(join(folder, 'invoices.jsonl'), `${lines.join('\n')}\n`);
  writeModel(folder, {
    model: toOnnx(pipeline),
    manifest: {
      description: 'Whether an invoice is paid late, and when to remind the customer.',
      example: { features: others[0]!.invoice },
    },
    golden: others.slice(0, GOLDEN_ROWS).map(({ invoice }) => {
      const p = late(invoice);
      const answer = { late: Math.round(p * 1000) / 1000, remind: p > 0.5 ? 'before' : 'after', due: invoice.due };
      return { features: invoice, outputs: { result: answer } };
    }),
  });
  return `invoices: accuracy ${(right / others.length).toFixed(3)} on ${others.length} other invoices`;
}

const dateOf = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

function draw(random: Random): { invoice: Invoice; isLate: boolean } {
  const habit = uniform(random);
  const issued = 20_454 + random.int(365);
  const days = random.pick([14, 30, 30, 60]);
  const amount = Math.round(50 * 100 ** uniform(random) * 100) / 100;
  const history = Array.from({ length: random.int(8) }, () => {
    const due = issued - 30 - random.int(400);
    const delay = uniform(random) < habit ? 1 + random.int(40) : -random.int(10);
    return { due: dateOf(due), paid: dateOf(due + delay) };
  });
  const score = 10 * (habit - 0.5) + 0.5 * (Math.log(amount) - 6) - 0.02 * (days - 30);
  const isLate = uniform(random) < 1 / (1 + Math.exp(-score));
  return { invoice: { amount, issued: dateOf(issued), due: dateOf(issued + days), history }, isLate };
}

/** As `preprocess` of examples/invoices/transform.ts computes them: the golden rows show whether both do. */
function featuresOf({ amount, issued, due, history }: Invoice): number[] {
  const days = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / DAY_MS;
  const late = history.map((one) => Math.max(0, days(one.due, one.paid)));
  const count = Math.max(1, late.length);
  const mean = late.reduce((sum, one) => sum + one, 0) / count;
  return [Math.log(amount), days(issued, due), late.length, late.filter((one) => one > 0).length / count, mean];
}

function fit(drawn: readonly { readonly invoice: Invoice; readonly isLate: boolean }[]): Pipeline {
  const rows = drawn.map(({ invoice }) => featuresOf(invoice));
  const columns = Array.from({ length: FEATURES }, (_, i) => rows.map((row) => row[i]!));
  const average = (column: readonly number[]) => column.reduce((sum, x) => sum + x, 0) / column.length;
  const means = columns.map((column) => rounded(average(column)));
  const scales = columns.map((column, i) => rounded(1 / Math.sqrt(average(column.map((x) => (x - means[i]!) ** 2)))));
  const { weights, intercept } = fitLogistic(
    rows.map((row) => scaled({ means, scales }, row)),
    drawn.map(({ isLate }) => Number(isLate)),
  );
  // The last bits differ where Math.exp does.
  return { means, scales, classifier: { weights: weights.map(rounded), intercept: rounded(intercept) } };
}

const scaled = ({ means, scales }: Pick<Pipeline, 'means' | 'scales'>, row: readonly number[]): number[] =>
  row.map((x, i) => (x - means[i]!) * scales[i]!);

const ML = { domain: 'ai.onnx.ml' };

/** As skl2onnx writes a StandardScaler and a LogisticRegression without ZipMap. */
function toOnnx({ means, scales, classifier: { weights, intercept } }: Pipeline): Uint8Array {
  return model({
    name: 'Pipeline',
    producer: 'skl2onnx',
    opset: 15,
    mlOpset: 3,
    nodes: [
      node('Scaler', ['X'], ['scaled'], { offset: means, scale: scales }, ML),
      node(
        'LinearClassifier',
        ['scaled'],
        ['predicted_label', 'raw_probabilities'],
        {
          classlabels_ints: [0n, 1n],
          coefficients: [...weights.map((x) => -x), ...weights],
          intercepts: [-intercept, intercept],
          multi_class: 1n,
          post_transform: 'LOGISTIC',
        },
        ML,
      ),
      node('Normalizer', ['raw_probabilities'], ['probabilities'], { norm: 'L1' }, ML),
      node('Cast', ['predicted_label'], ['label'], { to: 7n }),
    ],
    initializers: [],
    inputs: [value('X', 'float32', ['N', FEATURES])],
    outputs: [value('label', 'int64', ['N']), value('probabilities', 'float32', ['N', 2])],
  });
}
