import { ServingError } from '../../errors.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { normalizeRows, shortenRows } from '../../text/pooling.ts';
import type { TextSettings } from '../../text/settings.ts';

/** What a request says about its embeddings. */
export interface EmbeddingOptions {
  /** The first values of each embedding, as models trained for it allow. Default: all. */
  readonly dimensions: number | undefined;
  /** Whether each embedding has the Euclidean length 1. */
  readonly normalize: boolean;
}

/** The embedding of a row. The result may be a view of the outputs, which other requests read too. */
export type ReadEmbedding = (outputs: readonly Tensor[], at: number) => Float32Array;

/**
 * Makes the reader of a model's embeddings.
 * @param live a model for embeddings
 * @throws ServingError `INVALID_INPUT` for more dimensions than the model has
 */
export function createEmbeddingReader(
  { signature }: Pick<Generation, 'signature'>,
  settings: TextSettings,
  { dimensions, normalize }: EmbeddingOptions,
): ReadEmbedding {
  const slot = Math.max(
    0,
    signature.outputs.findIndex(({ name }) => name === 'embedding'),
  );
  const own = signature.outputs[slot]?.shape[1] ?? -1;
  if (dimensions !== undefined && own !== -1) requireDimensions(dimensions, own);
  const isNormalized = normalize && settings.normalize?.value === true;

  return (outputs, at) => {
    const { dims, data } = outputs[slot]!;
    const width = dims[1]!;
    const row = (data as Float32Array).subarray(at * width, (at + 1) * width);
    const kept = dimensions ?? width;
    if (!normalize || (isNormalized && kept === width)) return shortenRows(row, width, kept);
    const shortened = shortenRows(row, width, kept).slice();
    normalizeRows(shortened, kept);
    return shortened;
  };
}

function requireDimensions(given: number, own: number): void {
  if (given <= own) return;
  const message = `dimensions: expected at most ${own}, the values of this model's embeddings, got ${given}`;
  throw new ServingError('INVALID_INPUT', message, { path: 'dimensions' });
}
