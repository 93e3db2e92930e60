import { ServingError } from '../errors.ts';

/** Milliseconds to wait after so many failures in a row: twice as long each time, up to the longest. */
export function backOff(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** (failures - 1));
}

/** What a load ended with, as the one error type: anything else is a failure of the model's. */
export function toLoadError(error: unknown): ServingError {
  return error instanceof ServingError ? error : new ServingError('MODEL_FAILED', String(error), { cause: error });
}
