import { join } from 'node:path';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';
import { createRandom, type Random } from '../fuzz/random.ts';
import { rounded, uniform, writeCsv, writeModel } from './files.ts';
import { fitLogistic, type Logistic, probability } from './logistic.ts';

const SEED = 2024;
const ROWS = 600;
const TRAINING_ROWS = 480;
const GOLDEN_ROWS = 6;
const NUMBERS = ['tenure_months', 'monthly_charges', 'support_calls'] as const;
/** In alphabetical order, as OneHotEncoder finds them. */
const CATEGORIES = {
  contract: ['monthly', 'one_year', 'two_year'],
  payment_method: ['bank_transfer', 'card', 'invoice'],
} as const;

interface Customer extends Record<(typeof NUMBERS)[number], number> {
  readonly contract: (typeof CATEGORIES.contract)[number];
  readonly payment_method: (typeof CATEGORIES.payment_method)[number];
  readonly churned: number;
}

/** StandardScaler and LogisticRegression of the numbers, OneHotEncoder of the categories. */
interface Pipeline {
  readonly means: readonly number[];
  readonly scales: readonly number[];
  readonly classifier: Logistic;
}

/** Draws the customers, trains the classifier, and writes both. @returns its accuracy on the customers it was not trained on */
export function makeChurn(folder: string): string {
  const random = createRandom(SEED);
  const customers = Array.from({ length: ROWS }, () => draw(random));
  const others = customers.slice(TRAINING_ROWS);
  const pipeline = fit(customers.slice(0, TRAINING_ROWS));
  const churns = (customer: Customer) => probability(pipeline.classifier, encode(pipeline, customer));
  const right = others.filter((one) => Number(churns(one) > 0.5) === one.churned).length;
  const example = {
    tenure_months: 3,
    monthly_charges: 89.5,
    support_calls: 4,
    contract: 'monthly',
    payment_method: 'card',
  };

  writeCsv(
    join(folder, 'customers.csv'),
    customers.map((customer) => ({ ...customer })),
  );
  writeModel(folder, {
    model: toOnnx(pipeline),
    manifest: {
      description: 'Whether a customer of a phone company leaves within the next three months.',
      input: { categories: CATEGORIES },
      output: 'label',
      classes: ['stays', 'leaves'],
      example: { features: example },
    },
    golden: others.slice(0, GOLDEN_ROWS).map((customer) => {
      const { churned, ...features } = customer;
      const p = churns(customer);
      return { features, outputs: { label: Number(p > 0.5), probabilities: [rounded(1 - p), rounded(p)] } };
    }),
  });
  return `churn: accuracy ${(right / others.length).toFixed(3)} on ${others.length} other customers`;
}

function draw(random: Random): Customer {
  const tenure = random.int(72);
  const charges = 20 + random.int(200) / 2;
  const calls = Math.floor(uniform(random) ** 2 * 9);
  const contract = random.pick(['monthly', 'monthly', 'one_year', 'two_year'] as const);
  const payment = random.pick(CATEGORIES.payment_method);
  const score =
    0.3 -
    0.05 * tenure +
    0.03 * (charges - 70) +
    0.6 * (calls - 2) +
    { monthly: 1.2, one_year: -0.6, two_year: -1.6 }[contract] +
    { bank_transfer: -0.3, card: -0.2, invoice: 0.7 }[payment];
  return {
    tenure_months: tenure,
    monthly_charges: charges,
    support_calls: calls,
    contract,
    payment_method: payment,
    churned: Number(uniform(random) < 1 / (1 + Math.exp(-score))),
  };
}

function fit(customers: readonly Customer[]): Pipeline {
  const average = (pick: (customer: Customer) => number) =>
    customers.reduce((sum, customer) => sum + pick(customer), 0) / customers.length;
  const means = NUMBERS.map((name) => average((customer) => customer[name]));
  const scales = NUMBERS.map((name, i) => 1 / Math.sqrt(average((customer) => (customer[name] - means[i]!) ** 2)));
  const rows = customers.map((customer) => encode({ means, scales }, customer));
  const { weights, intercept } = fitLogistic(
    rows,
    customers.map(({ churned }) => churned),
  );
  // The last bits differ where Math.exp does.
  return { means, scales, classifier: { weights: weights.map(rounded), intercept: rounded(intercept) } };
}

function encode({ means, scales }: Pick<Pipeline, 'means' | 'scales'>, customer: Customer): number[] {
  const numbers = NUMBERS.map((name, i) => (customer[name] - means[i]!) * scales[i]!);
  const hot = Object.entries(CATEGORIES).flatMap(([name, all]) =>
    all.map((category) => Number(customer[name as keyof typeof CATEGORIES] === category)),
  );
  return [...numbers, ...hot];
}

const ML = { domain: 'ai.onnx.ml' };

/** As skl2onnx writes a ColumnTransformer with an input for each column, and a LogisticRegression without ZipMap. */
function toOnnx({ means, scales, classifier: { weights, intercept } }: Pipeline): Uint8Array {
  const categories = Object.entries(CATEGORIES);
  const hot = categories.flatMap(([name, all], i) => [
    node('ArrayFeatureExtractor', ['concat_result1', `column_${i}`], [`extracted_${name}`], {}, ML),
    node('OneHotEncoder', [`extracted_${name}`], [`encoded_${name}`], { cats_strings: all, zeros: 1n }, ML),
    node('Reshape', [`encoded_${name}`, `shape_${i}`], [`reshaped_${name}`]),
  ]);
  const column = (name: string, dtype: 'float32' | 'string') => value(name, dtype, ['N', 1]);
  return model({
    name: 'Pipeline',
    producer: 'skl2onnx',
    opset: 15,
    mlOpset: 3,
    nodes: [
      node('Concat', NUMBERS, ['concat_result'], { axis: 1n }),
      node('Scaler', ['concat_result'], ['scaled'], { offset: means, scale: scales }, ML),
      node('Concat', Object.keys(CATEGORIES), ['concat_result1'], { axis: 1n }),
      ...hot,
      node(
        'Concat',
        Object.keys(CATEGORIES).map((name) => `reshaped_${name}`),
        ['encoded'],
        { axis: -1n },
      ),
      node('Concat', ['scaled', 'encoded'], ['transformed_column'], { axis: 1n }),
      node(
        'LinearClassifier',
        ['transformed_column'],
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
    initializers: categories.flatMap(([, all], i) => [
      initializer(`column_${i}`, 'int64', [1], [i]),
      initializer(`shape_${i}`, 'int64', [2], [-1, all.length]),
    ]),
    inputs: [
      ...NUMBERS.map((name) => column(name, 'float32')),
      ...Object.keys(CATEGORIES).map((name) => column(name, 'string')),
    ],
    outputs: [value('label', 'int64', ['N']), value('probabilities', 'float32', ['N', 2])],
  });
}
