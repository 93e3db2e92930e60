/**
 * The wait before the next attempt: it doubles with each failure in a row, up to a bound.
 * @param failures failures in a row, from 1.
 * @param firstMs the wait after the first one, in milliseconds.
 * @param longestMs the bound, in milliseconds.
 * @returns milliseconds. Where many processes fail at the same moment, multiply by a random factor.
 */
export function backOffMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}
