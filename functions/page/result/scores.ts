import type { ModelInfo, Prediction } from '../model.ts';

/** The score of a class, or of a place in an output without classes. */
export interface Score {
  readonly name: string;
  readonly value: number;
}

/** The scores of an output. */
export interface Scores {
  readonly output: string;
  /** Whether they are probabilities that add up to 1. */
  readonly areShares: boolean;
  /** Whether each is a probability of its own, as of labels of which several may hold. */
  readonly arePercent?: boolean;
  /** The highest first; NaN last. A few without classes keep their order. */
  readonly scores: readonly Score[];
  /** The ends of the bars' scale, which has 0 in it. */
  readonly low: number;
  readonly high: number;
}

/** The most values that are all shown. */
const FEW = 10;
/** How much a sum of probabilities may differ from 1. */
const TOLERANCE = 0.01;
const NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** The number of a value of a JSON text; undefined if it is none. */
export const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number'
    ? value
    : typeof value === 'string' && Object.hasOwn(NUMBERS, value)
      ? NUMBERS[value]
      : undefined;

/**
 * Finds the outputs that are a vector of at least two floats: the main output first. Its scores are those of the answer, of all
 * labels, or softmaxed if the manifest says so; all others are as the model gives them.
 */
export function scoresOf(
  { classes, outputs, output, activation, answer }: Described,
  { outputs: given, scores }: Pick<Prediction, 'outputs' | 'scores'>,
): Scores[] {
  const main = answer?.activation ?? activation;
  const names = outputs.filter(({ dtype }) => dtype.startsWith('float')).map(({ name }) => name);
  names.sort((a, b) => Number(b === output) - Number(a === output));
  const found = names.flatMap((name) => {
    const values = Array.isArray(given[name]) ? given[name].map(numberOf) : [];
    if (values.length < 2 || values.includes(undefined)) return [];
    const own = values as number[];
    if (name !== output) return [rank(name, own, classes)];
    if (main === 'sigmoid') return [{ ...rank(name, own.map(sigmoid), classes), ...PERCENT }];
    return [rank(name, main === 'softmax' ? softmax(own) : own, classes)];
  });
  if (scores === undefined || found[0]?.output === output) return found;
  const highest = scores.map(({ label, score }) => ({ name: label, value: numberOf(score) ?? Number.NaN }));
  const [low, high] = bounds(highest.map(({ value }) => value).filter(Number.isFinite));
  return [
    { output: output ?? 'scores', areShares: false, scores: highest, low, high: high > low ? high : 1 },
    ...found,
  ];
}

type Described = Pick<ModelInfo, 'classes' | 'outputs' | 'output' | 'activation' | 'answer'>;

/** The scores of labels of which any number may hold. */
const PERCENT = { areShares: false, arePercent: true, low: 0, high: 1 } as const;

const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

function rank(output: string, values: readonly number[], classes: readonly string[] | undefined): Scores {
  const finite = values.filter(Number.isFinite);
  const [low, high] = bounds(finite);
  const isUnit = finite.length === values.length && low === 0 && high <= 1;
  const sum = finite.reduce((total, value) => total + value, 0);
  const areShares = isUnit && Math.abs(sum - 1) <= TOLERANCE;
  const names = classes?.length === values.length ? classes : undefined;
  const nameOf = (i: number): string => names?.[i] ?? (areShares ? `class ${i}` : `${output}[${i}]`);
  const scores = values.map((value, i) => ({ name: nameOf(i), value }));
  const range = { low, high: isUnit || high === low ? 1 : high };
  // A few values without names, such as coordinates, keep their order.
  if (names === undefined && !areShares && values.length <= FEW) return { output, areShares, scores, ...range };
  scores.sort((a, b) => Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value)) || compare(b.value, a.value));
  return { output, areShares, scores, ...range };
}

/** Infinities have no difference. */
const compare = (a: number, b: number): number => Number(a > b) - Number(a < b);

/** The ends of a scale of the numbers, with 0 in it. They may be too many for the arguments of a function. */
function bounds(values: readonly number[]): [number, number] {
  let low = 0;
  let high = 0;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** The softmax of scores; unchanged if one of them is not finite. */
export function softmax(values: readonly number[]): readonly number[] {
  if (!values.every(Number.isFinite)) return values;
  const most = values.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}
