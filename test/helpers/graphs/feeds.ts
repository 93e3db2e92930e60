import { DTYPES, type DType, elementCount, type Tensor } from '../../../functions/engine/tensor.ts';
import type { Random } from '../../../scripts/fuzz/random.ts';

/** Makes one input of a request: `rows` rows. */
export type Feed = (random: Random, rows: number) => Tensor;

/** Far from overflow: a sum that overflows does so in one order of its terms and not in another. */
const EXTREMES = [1e30, -1e30, 1e20, -1e20, 1e-38, -1e-38];
const SPECIALS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e-45, -1e-45];

/** From -1 up to 1. */
export const unit = (random: Random): number => random.int(2 ** 24) / 2 ** 23 - 1;

/** A row of floats of one kind: common, small, large, equal or zero; extreme or with special values where they are wanted. */
export function floatRow(random: Random, length: number, special: boolean): number[] {
  const kind = random.pick([
    'common',
    'common',
    'small',
    'large',
    'equal',
    'zero',
    ...(special ? ['extreme', 'special'] : []),
  ]);
  const same = unit(random) * 3;
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

/** Floats, each row [..dims] of a kind of its own. */
export function floats(
  dims: readonly number[],
  { special = true, dtype = 'float32' as 'float32' | 'float64' } = {},
): Feed {
  const size = elementCount(dims);
  return (random, rows) => {
    const list = Array.from({ length: rows }, () => floatRow(random, size, special)).flat();
    return {
      dtype,
      dims: [rows, ...dims],
      data: dtype === 'float32' ? Float32Array.from(list) : Float64Array.from(list),
    };
  };
}

/** Integers from `from` to below `below`. */
export function ids(dims: readonly number[], below: number, { from = 0, dtype = 'int64' as DType } = {}): Feed {
  const size = elementCount(dims);
  return (random, rows) => {
    const data = DTYPES[dtype].make(rows * size);
    for (let i = 0; i < data.length; i++) {
      const id = from + random.int(below - from);
      if (data instanceof BigInt64Array) data[i] = BigInt(id);
      else (data as Int32Array)[i] = id;
    }
    return { dtype, dims: [rows, ...dims], data };
  };
}

/** An attention mask: each row 1 up to its length, at least 1, then 0. */
export function mask(length: number, dtype: DType = 'int64'): Feed {
  return (random, rows) => {
    const data = DTYPES[dtype].make(rows * length);
    for (let row = 0; row < rows; row++) {
      const filled = 1 + random.int(length);
      for (let i = 0; i < length; i++) {
        if (data instanceof BigInt64Array) data[row * length + i] = i < filled ? 1n : 0n;
        else (data as Int32Array)[row * length + i] = i < filled ? 1 : 0;
      }
    }
    return { dtype, dims: [rows, length], data };
  };
}

/** Strings, each one of `words`. */
export function texts(dims: readonly number[], words: readonly string[]): Feed {
  const size = elementCount(dims);
  return (random, rows) => ({
    dtype: 'string',
    dims: [rows, ...dims],
    data: Array.from({ length: rows * size }, () => random.pick(words)),
  });
}

/** The feeds of a request, one a model input. */
export function feed(...inputs: readonly Feed[]): (random: Random, rows: number) => Tensor[] {
  return (random, rows) => inputs.map((make) => make(random, rows));
}
