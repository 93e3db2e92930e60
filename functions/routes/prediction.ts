import * as z from 'zod';
import type { Outcome } from '../engine/batcher.ts';
import type { JsonValue } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import type { Generation } from '../model/generation.ts';
import type { RowFeeds } from '../model/rows.ts';

/** zod names every unknown key, and the caller may have sent any number of any length. */
const MAX_MESSAGE = 160;
const cut = (text: string): string =>
  text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE).toWellFormed()}…` : text;

/** The body of `/predict`. */
export const envelope = z.strictObject({ features: z.custom<JsonValue>((value) => value !== undefined, 'is missing') });

/**
 * The features of a predict body, decoded against the model's inputs.
 * @param place where the body stands in what the caller sent: `''`, or `instances[3]`.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readPredictBody(body: JsonValue, { rows }: Pick<Generation, 'rows'>, place = ''): RowFeeds {
  const prefix = place === '' ? '' : `${place}.`;
  const features = featuresOf(body);
  if (features !== undefined) return rows.decode(features, `${prefix}features`);
  // An array of numbers has an index for each, and zod would name them all as unknown keys.
  const parsed = envelope.safeParse(body instanceof Float64Array ? [] : body);
  if (parsed.success) return rows.decode(parsed.data.features, `${prefix}features`);
  const issue = parsed.error.issues[0]!;
  const path = issue.path.length === 0 ? place : prefix + issue.path.join('.');
  const where = issue.path.length === 0 ? place || 'the body' : path;
  const message = `${where}: ${cut(issue.message)}; a body is {"features": …}`;
  throw new ServingError('INVALID_INPUT', message, path === '' ? {} : { path });
}

/** What the schema lets through, without its cost: at 100 k rows a second it was a fifteenth of the whole. */
function featuresOf(body: JsonValue): JsonValue | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || body instanceof Float64Array)
    return undefined;
  for (const key in body) if (key !== 'features') return undefined;
  return body.features;
}

/** The prediction of one row as the members of a JSON object. @throws ServingError the row's own error. */
export function writePrediction(outcome: Outcome, feeds: RowFeeds, { writer }: Generation): string {
  if ('error' in outcome) throw outcome.error;
  return writer.write(outcome.outputs, outcome.first, feeds.isRow);
}
