import { ServingError } from '../../errors.ts';
import type { BodyBudget } from '../../http/body/body-budget.ts';
import { createLineCutter, type Line } from '../../http/body/lines.ts';
import type { PieceReader } from '../../http/body/pieces.ts';
import type { RowFeeds } from '../../model/folder/rows.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { isArray, isObject, type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { type BodyReader, isLarge, type Owner } from '../body-reader.ts';
import { readPredictBody } from './prediction.ts';

/** One row of a request. */
export interface SourceRow {
  /** Bytes that are reserved for it in the budget for bodies, until it has been run. */
  readonly bytes: number;
  /** Decodes the row; a long line in a thread. @throws ServingError `INVALID_INPUT`, or the error of a refused line. */
  read(live: Pick<Generation, 'rows'>): RowFeeds | Promise<RowFeeds>;
  /** To be called once the decoded row is not used any more. */
  release?(): void;
}

/** Rows in groups: after a group, the next rows may take a while to arrive. */
export type RowSource = AsyncIterable<Iterable<SourceRow>> | Iterable<Iterable<SourceRow>>;

/** How the lines of a body are read. */
interface LineOptions {
  /** Most bytes of a line. */
  readonly limit: number;
  /** Reads long lines. */
  readonly parser: Pick<BodyReader, 'readFeeds'>;
  /** The request. */
  readonly owner: Owner;
  /** Called with the bytes of each piece of the body. */
  readonly onPiece: (bytes: number) => void;
  /** The budget in which the lines' bytes are reserved. Default: the process's. */
  readonly budget?: BodyBudget;
}

/** The rows of an NDJSON body, one for each line, read as they arrive: a group for each piece of the body. */
export async function* readLines(reader: PieceReader, options: LineOptions): AsyncGenerator<Iterable<SourceRow>> {
  const cutter = createLineCutter(options.limit, options.budget);
  try {
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
      options.onPiece(piece.length);
      yield readEach(cutter.push(piece), options);
    }
    yield readEach(cutter.end(), options);
  } finally {
    cutter.close();
  }
}

function* readEach(lines: Iterable<Line>, options: LineOptions): Generator<SourceRow> {
  for (const line of lines) {
    if (line instanceof ServingError) yield { bytes: 0, read: () => raise(line) };
    else if (isLarge(line)) yield readLong(line, options);
    else yield { bytes: line.length, read: (live) => readPredictBody(readJson(line), live) };
  }
}

/** The line has an owner of its own: its decoded row is used for a part of the request's time only. */
function readLong(line: Buffer, { parser, owner: { res, cancellation } }: LineOptions): SourceRow {
  const owner: Owner = { res, cancellation };
  return {
    // Read now: the memory of the line may be transferred to a thread.
    bytes: line.length,
    read: (live) => parser.readFeeds(line, live.rows.form, owner),
    release: () => owner.releaseResult?.(),
  };
}

function raise(error: ServingError): never {
  throw error;
}

/**
 * The rows of a JSON body: an array of predict bodies, or `{"instances": [row, …]}`.
 * @throws ServingError `INVALID_INPUT` for anything else.
 */
export function readInstances(body: JsonValue): Iterable<Iterable<SourceRow>> {
  if (isArray(body)) return [readBodies(body)];
  const instances = isObject(body) ? body.instances : undefined;
  if (isArray(instances)) return [readRows(instances)];
  const message =
    'the body: expected an array of {"features": …}, {"instances": [row, …]}, or NDJSON as application/x-ndjson';
  throw new ServingError('INVALID_INPUT', message);
}

function* readBodies(bodies: ArrayLike<JsonValue>): Generator<SourceRow> {
  for (let i = 0; i < bodies.length; i++) {
    yield { bytes: 0, read: (live) => readPredictBody(bodies[i]!, live, `[${i}]`) };
  }
}

function* readRows(rows: ArrayLike<JsonValue>): Generator<SourceRow> {
  for (let i = 0; i < rows.length; i++) {
    yield { bytes: 0, read: (live) => live.rows.decode(rows[i]!, `instances[${i}]`) };
  }
}
