import type { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** `first` of an outcome whose outputs have not one row for each input row: all their rows belong to the one row that ran. */
export const ALL_ROWS = -1;

/**
 * The outcome of `rows` consecutive rows of a request. Either their outputs, a tensor for each output in the order of the
 * signature; row `first` of each tensor belongs to the first of them (or {@link ALL_ROWS}). Or the error of each of them.
 */
export type Outcome =
  | { readonly rows: number; readonly outputs: readonly Tensor[]; readonly first: number }
  | { readonly rows: number; readonly error: ServingError };
