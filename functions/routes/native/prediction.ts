import * as z from 'zod/mini';
import type { Outcome } from '../../engine/batcher.ts';
import { ServingError } from '../../errors.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { describe } from '../../tensor/fill.ts';
import type { JsonValue } from '../../tensor/json/reader.ts';
import { isObject } from '../../tensor/json/reader.ts';
import type { PredictionEncoder } from './prediction-encoder.ts';

/** The schema of the body of `/predict`, for the OpenAPI document. `readPredictBody` does not use it: zod would list all keys of an invalid body. */
export const envelope = z.strictObject({ features: z.custom<JsonValue>((value) => value !== undefined, 'is missing') });

/**
 * Decodes the features of a predict body by the model's inputs.
 * @param place of the body in the caller's input: `''`, or `instances[3]`.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readPredictBody(body: JsonValue, { rows }: Pick<Generation, 'rows'>, place = ''): RowFeeds {
  const where = place === '' ? 'the body' : place;
  const path = place === '' ? 'features' : `${place}.features`;
  if (!isObject(body)) throw invalid(where, `expected an object, got ${describe(body)}`, place);
  if (body.features === undefined) throw invalid(path, 'is missing', path);
  for (const key in body) if (key !== 'features') throw invalid(where, `unknown key ${describe(key)}`, place);
  return rows.decode(body.features, path);
}

function invalid(where: string, what: string, path: string): ServingError {
  const details = path === '' ? {} : { path };
  return new ServingError('INVALID_INPUT', `${where}: ${what}; a body is {"features": …}`, details);
}

/** The prediction of one row as the members of a JSON object. @throws ServingError the row's own error. */
export function writePrediction(outcome: Outcome, feeds: RowFeeds, encoder: PredictionEncoder): string {
  if ('error' in outcome) throw outcome.error;
  return encoder.encode(outcome.outputs, outcome.first, feeds.isRow);
}
