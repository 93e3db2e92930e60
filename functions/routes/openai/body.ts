import { describe } from '../../tensor/fill.ts';
import type { JsonObject } from '../../tensor/json/reader.ts';
import { invalid, readCount, readName } from '../texts/fields.ts';

/** What a request says about its embeddings, beside its input. */
export interface EmbeddingsBody {
  /** The name of a model; undefined: the model behind `/predict`. */
  readonly model: string | undefined;
  readonly isBase64: boolean;
  readonly dimensions: number | undefined;
}

/**
 * Reads a body of `POST /v1/embeddings` without its `input`. Other members, such as `user`, are ignored.
 * @throws ServingError `INVALID_INPUT`
 */
export function readEmbeddingsBody(body: JsonObject): EmbeddingsBody {
  const format = readName(body, 'encoding_format') ?? 'float';
  if (format !== 'float' && format !== 'base64') {
    throw invalid('encoding_format', `expected "float" or "base64", got ${describe(format)}`);
  }
  return {
    model: readName(body, 'model'),
    isBase64: format === 'base64',
    dimensions: readCount(body, 'dimensions'),
  };
}
