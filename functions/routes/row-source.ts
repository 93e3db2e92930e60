import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import { createLineCutter, type Line } from '../http/lines.ts';
import type { PieceReader } from '../http/pieces.ts';
import type { Generation } from '../model/generation.ts';
import type { RowFeeds } from '../model/rows.ts';
import { readPredictBody } from './prediction.ts';

/** How one row is got at: a line to parse, or a value that stands in an array. @throws ServingError `INVALID_INPUT`. */
export type RowReader = (live: Generation) => RowFeeds;

/** Rows, in groups after which nothing more may come for a while. */
export type RowSource = AsyncIterable<Iterable<RowReader>> | Iterable<Iterable<RowReader>>;

/**
 * The lines of an NDJSON body, read as they arrive.
 * @param limit bytes a line may have.
 */
export async function* readLines(
  reader: PieceReader,
  limit: number,
  onPiece: () => void,
): AsyncGenerator<Iterable<RowReader>> {
  const cutter = createLineCutter(limit);
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
    onPiece();
    yield readEach(cutter.push(piece), limit);
  }
  yield readEach(cutter.end(), limit);
}

function* readEach(lines: Iterable<Line>, limit: number): Generator<RowReader> {
  for (const line of lines) {
    yield (live) => {
      if (line !== undefined) return readPredictBody(readJson(line), live);
      throw new ServingError('TOO_LARGE', `the line is longer than ${limit} bytes (MAX_BODY_BYTES)`);
    };
  }
}

/**
 * The rows of a JSON body: an array of predict bodies, or `{"instances": [row, …]}`.
 * @throws ServingError `INVALID_INPUT` for anything else.
 */
export function readInstances(body: JsonValue): Iterable<Iterable<RowReader>> {
  if (isArray(body)) return [readBodies(body)];
  const instances =
    typeof body === 'object' && body !== null ? (body as { instances?: JsonValue }).instances : undefined;
  if (isArray(instances)) return [readRows(instances)];
  const message =
    'the body: expected an array of {"features": …}, {"instances": [row, …]}, or NDJSON as application/x-ndjson';
  throw new ServingError('INVALID_INPUT', message);
}

function* readBodies(bodies: ArrayLike<JsonValue>): Generator<RowReader> {
  for (let i = 0; i < bodies.length; i++) yield (live) => readPredictBody(bodies[i]!, live, `[${i}]`);
}

function* readRows(rows: ArrayLike<JsonValue>): Generator<RowReader> {
  for (let i = 0; i < rows.length; i++) yield (live) => live.rows.decode(rows[i]!, `instances[${i}]`);
}

function isArray(value: JsonValue | undefined): value is JsonValue[] | Float64Array {
  return Array.isArray(value) || value instanceof Float64Array;
}
