import type { Shape } from '../../../functions/onnx/proto/build.ts';
import { DTYPES, type DType, elementCount, type Tensor } from '../../../functions/tensor/tensor.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';

/** One input of a model, and what requests put there. */
export interface Feed {
  readonly dtype: DType;
  /** As the model declares it. */
  readonly shape: Shape;
  /** False where it has no NaN, infinities and extremes, though it is of floats. */
  readonly special: boolean;
  /** The input of a request of `rows` rows. */
  readonly make: (random: Random, rows: number) => Tensor;
}

/** Far from overflow: a sum that overflows does so in one order of its terms and not in another. */
const EXTREMES = [1e30, -1e30, 1e20, -1e20, 1e-38, -1e-38];
const SPECIALS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-45, -1e-45];
const KINDS = ['common', 'common', 'small', 'large', 'equal', 'zero'] as const;

/** From -1 up to 1. */
const unit = (random: Random): number => random.int(2 ** 24) / 2 ** 23 - 1;

/** A row of floats of one kind: common, small, large, equal or zero; extreme or with special values where they are wanted. */
function floatRow(random: Random, length: number, special: boolean): number[] {
  const kind = random.pick([...KINDS, ...(special ? (['extreme', 'special'] as const) : [])]);
  // Whole steps of a 64th: their sum is exact in any order, so a normalisation of them divides no rounding by nearly 0.
  const same = (random.int(385) - 192) / 64;
  // One alone: where two cancel each other, what is left is rounding.
  const extreme = random.int(length);
  return Array.from({ length }, (_, at) => {
    if (kind === 'equal') return same;
    if (kind === 'zero') return 0;
    if (kind === 'extreme' && at === extreme) return random.pick(EXTREMES);
    if (kind === 'special' && random.chance(0.3)) return random.pick(SPECIALS);
    return unit(random) * (kind === 'small' ? 1e-3 : kind === 'large' ? 300 : 2);
  });
}

/** One element at a time. */
function each(dtype: DType, dims: readonly number[], element: (random: Random) => number | string): Feed {
  const make = (random: Random, rows: number): Tensor => {
    const data = DTYPES[dtype].make(rows * elementCount(dims));
    const big = data instanceof BigInt64Array;
    for (let i = 0; i < data.length; i++) {
      const item = element(random);
      (data as (number | string | bigint)[])[i] = big ? BigInt(item) : item;
    }
    return { dtype, dims: [rows, ...dims], data };
  };
  return { dtype, shape: ['batch', ...dims], special: true, make };
}

/** Floats, each row [..dims] of a kind of its own. */
export function floats(
  dims: readonly number[],
  { special = true, dtype = 'float32' }: { special?: boolean; dtype?: 'float32' | 'float64' | 'float16' } = {},
): Feed {
  const size = elementCount(dims);
  const make = (random: Random, rows: number): Tensor => {
    const list = Array.from({ length: rows }, () => floatRow(random, size, special)).flat();
    return { dtype, dims: [rows, ...dims], data: STORES[dtype](list) };
  };
  return { dtype, shape: ['batch', ...dims], special, make };
}

const STORES = {
  float16: (list: readonly number[]) => new Uint16Array(Float16Array.from(list).buffer),
  float32: (list: readonly number[]) => Float32Array.from(list),
  float64: (list: readonly number[]) => Float64Array.from(list),
};

/** Integers from `from` to below `below`. */
export function ids(
  dims: readonly number[],
  below: number,
  { from = 0, dtype = 'int64' }: { from?: number; dtype?: DType } = {},
): Feed {
  return each(dtype, dims, (random) => from + random.int(below - from));
}

/** Strings, each one of `words`. */
export function texts(dims: readonly number[], words: readonly string[]): Feed {
  return each('string', dims, (random) => random.pick(words));
}

/** An attention mask: each row 1 up to its length, at least 1, then 0. */
export function mask(length: number, dtype: DType = 'int64'): Feed {
  const row = (random: Random): number[] => {
    const filled = 1 + random.int(length);
    return Array.from({ length }, (_, i) => (i < filled ? 1 : 0));
  };
  const make = (random: Random, rows: number): Tensor => {
    const list = Array.from({ length: rows }, () => row(random)).flat();
    const data = DTYPES[dtype].make(list.length);
    const big = data instanceof BigInt64Array;
    for (const [i, item] of list.entries()) (data as unknown as (number | bigint)[])[i] = big ? BigInt(item) : item;
    return { dtype, dims: [rows, length], data };
  };
  return { dtype, shape: ['batch', length], special: true, make };
}

/** An input whose dimensions have names in the model: the caller chooses them. */
export function free(feed: Feed, ...names: readonly (string | number)[]): Feed {
  return { ...feed, shape: names };
}
