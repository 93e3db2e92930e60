import * as z from 'zod';
import type { Outcome } from '../engine/batcher.ts';
import type { JsonValue } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import type { Generation } from '../model/generation.ts';
import type { RowFeeds } from '../model/rows.ts';

const envelope = z.strictObject({ features: z.custom<JsonValue>((value) => value !== undefined, 'is missing') });

/**
 * The features of a predict body, decoded against the model's inputs.
 * @param place where the body stands in what the caller sent: `''`, or `instances[3]`.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readPredictBody(body: JsonValue, { rows }: Generation, place = ''): RowFeeds {
  const parsed = envelope.safeParse(body);
  const prefix = place === '' ? '' : `${place}.`;
  if (parsed.success) return rows.decode(parsed.data.features, `${prefix}features`);
  const issue = parsed.error.issues[0]!;
  const path = prefix + issue.path.join('.');
  const where = issue.path.length === 0 ? place || 'the body' : path;
  const message = `${where}: ${issue.message}; a body is {"features": …}`;
  throw new ServingError('INVALID_INPUT', message, path === '' ? {} : { path });
}

/** The prediction of one row as the members of a JSON object. @throws ServingError the row's own error. */
export function writePrediction(outcome: Outcome, feeds: RowFeeds, { writer }: Generation): string {
  if ('error' in outcome) throw outcome.error;
  return writer.write(outcome.outputs, outcome.first, feeds.isRow);
}
