import { ServingError } from '../errors.ts';

/** How the vectors of a text's tokens become one, by the names of sentence-transformers. */
export type PoolingMode = 'cls' | 'mean' | 'max' | 'mean_sqrt_len' | 'weighted_mean' | 'last';

/** Hidden states: `values[row][token][dimension]`, row by row. */
export interface HiddenStates {
  readonly values: Float32Array;
  readonly rows: number;
  /** Tokens of each row, padding included. */
  readonly tokens: number;
  readonly dimensions: number;
}

/** As torch's `normalize`, so that a vector of zeros stays one. */
const LEAST_NORM = 1e-12;

/**
 * Pools the hidden states of each row over the tokens that `mask` has as 1. Padding may be on either side. A row without such
 * tokens gives zeros.
 *
 * `weighted_mean` gives the first token the weight 1, the second 2, and so on, as SGPT does.
 * @param mask `[rows, tokens]`
 * @returns `[rows, dimensions]`
 * @throws ServingError `INTERNAL` if a length does not fit the others
 */
export function pool(
  mode: PoolingMode,
  states: HiddenStates,
  mask: ArrayLike<number | bigint>,
): Float32Array<ArrayBuffer> {
  const { values, rows, tokens, dimensions } = states;
  if (values.length !== rows * tokens * dimensions || mask.length !== rows * tokens) {
    const message = `expected ${rows} × ${tokens} × ${dimensions} hidden states and a mask of ${rows} × ${tokens}; got ${values.length} and ${mask.length} values`;
    throw new ServingError('INTERNAL', message);
  }
  const pooled = new Float32Array(rows * dimensions);
  const sums = new Float64Array(dimensions);
  for (let row = 0; row < rows; row++) {
    const real: number[] = [];
    for (let token = 0; token < tokens; token++)
      if (Number(mask[row * tokens + token]) === 1) real.push(row * tokens + token);
    if (real.length === 0) continue;
    if (mode === 'cls' || mode === 'last') {
      const at = real.at(mode === 'cls' ? 0 : -1)! * dimensions;
      pooled.set(values.subarray(at, at + dimensions), row * dimensions);
      continue;
    }
    sums.fill(mode === 'max' ? -Infinity : 0);
    for (const [rank, token] of real.entries()) {
      const weight = mode === 'weighted_mean' ? rank + 1 : 1;
      const at = token * dimensions;
      for (let d = 0; d < dimensions; d++) {
        const value = values[at + d]!;
        sums[d] = mode === 'max' ? Math.max(sums[d]!, value) : sums[d]! + weight * value;
      }
    }
    const divisor = divisorOf(mode, real.length);
    for (let d = 0; d < dimensions; d++) pooled[row * dimensions + d] = sums[d]! / divisor;
  }
  return pooled;
}

function divisorOf(mode: PoolingMode, count: number): number {
  if (mode === 'max') return 1;
  if (mode === 'mean_sqrt_len') return Math.sqrt(count);
  return mode === 'weighted_mean' ? (count * (count + 1)) / 2 : count;
}

/**
 * The first `kept` values of each row, as models trained for shorter embeddings (Matryoshka) allow. Normalise afterwards.
 * @throws ServingError `INVALID_INPUT` with the path `dimensions` if a row has fewer
 */
export function shortenRows(values: Float32Array, dimensions: number, kept: number): Float32Array {
  if (!Number.isInteger(kept) || kept < 1 || kept > dimensions) {
    throw new ServingError('INVALID_INPUT', `dimensions: expected 1 to ${dimensions}, got ${kept}`, {
      path: 'dimensions',
    });
  }
  if (kept === dimensions) return values;
  const rows = values.length / dimensions;
  const shortened = new Float32Array(rows * kept);
  for (let row = 0; row < rows; row++) {
    shortened.set(values.subarray(row * dimensions, row * dimensions + kept), row * kept);
  }
  return shortened;
}

/** Gives each row the Euclidean length 1, in place. */
export function normalizeRows(values: Float32Array, dimensions: number): void {
  for (let from = 0; from < values.length; from += dimensions) {
    let sum = 0;
    for (let i = from; i < from + dimensions; i++) sum += values[i]! ** 2;
    const norm = Math.max(Math.sqrt(sum), LEAST_NORM);
    for (let i = from; i < from + dimensions; i++) values[i] = values[i]! / norm;
  }
}
