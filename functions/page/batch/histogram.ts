import { numberOf, type Score } from '../result/scores.ts';
import { plainOf, shortNumber } from '../result/words.ts';

/** Most different values that are counted; the values of a model that has more are divided into ranges. */
const MOST_CLASSES = 1000;
const MOST_VALUES = 20;
/** Numbers that the ranges are made from. */
const MOST_NUMBERS = 100_000;
const RANGES = 12;

/** Counts predictions: by class, or in ranges of a number. */
export interface Histogram {
  /** Adds a prediction: its label, or else the value. */
  add(label: string | undefined, prediction: unknown): void;
  /** Undefined if the predictions are neither classes nor numbers. Ranges come in their order, classes by their counts. */
  counts(): { readonly title: string; readonly counts: readonly Score[] } | undefined;
}

/** Creates a histogram. Its memory does not grow with the predictions. */
export function createHistogram(): Histogram {
  const values = new Map<string, number>();
  const numbers: number[] = [];
  let hasLabels = false;
  let left = 0;
  return {
    add(label, prediction) {
      const only = plainOf(prediction);
      const number = label === undefined ? numberOf(only) : undefined;
      if (number !== undefined && numbers.length < MOST_NUMBERS) numbers.push(number);
      if (label === undefined && (typeof only === 'object' || only === undefined)) return;
      hasLabels ||= number === undefined && (label !== undefined || typeof only === 'string');
      const key = label ?? (number === undefined ? String(only) : shortNumber(number));
      if (values.has(key) || values.size < MOST_CLASSES) values.set(key, (values.get(key) ?? 0) + 1);
      else left++;
    },
    counts() {
      if (values.size === 0) return undefined;
      if (!hasLabels && values.size > MOST_VALUES) return { title: 'Predictions by value', counts: ranges(numbers) };
      const counts = Array.from(values, ([name, value]) => ({ name, value })).sort((a, b) => b.value - a.value);
      if (left > 0) counts.push({ name: 'others', value: left });
      return { title: 'Predictions by class', counts };
    },
  };
}

/** The counts of equal ranges between the least and the greatest number. */
export function ranges(numbers: readonly number[]): Score[] {
  const finite = numbers.filter(Number.isFinite);
  if (finite.length === 0) return [];
  const low = finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = finite.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const width = (high - low) / RANGES || 1;
  const counts = new Array<number>(RANGES).fill(0);
  for (const value of finite) counts[Math.min(RANGES - 1, Math.floor((value - low) / width))]!++;
  const edge = (i: number): string => String(Number((low + width * i).toPrecision(3)));
  return counts.map((value, i) => ({ name: `${edge(i)} to ${edge(i + 1)}`, value }));
}
