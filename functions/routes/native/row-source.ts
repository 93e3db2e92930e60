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
  /** What it has reserved of the budget for bodies, until it is answered. */
  readonly bytes: number;
  /** Decodes it; a long line in a thread. @throws ServingError `INVALID_INPUT`, or why there is no line. */
  read(live: Pick<Generation, 'rows'>): RowFeeds | Promise<RowFeeds>;
  /** Called once what was read is not used any more. */
  release?(): void;
}

/** Rows, in groups after which nothing more may come for a while. */
export type RowSource = AsyncIterable<Iterable<SourceRow>> | Iterable<Iterable<SourceRow>>;

export interface LineOptions {
  /** Bytes a line may have. */
  readonly limit: number;
  /** Reads long lines. */
  readonly parser: Pick<BodyReader, 'readFeeds'>;
  readonly owner: Owner;
  /** Called for each piece of the body. */
  readonly onPiece: () => void;
  /** What the lines are taken from. Default: the process's. */
  readonly budget?: BodyBudget;
}

/** The lines of an NDJSON body, read as they arrive. */
export async function* readLines(reader: PieceReader, options: LineOptions): AsyncGenerator<Iterable<SourceRow>> {
  const cutter = createLineCutter(options.limit, options.budget);
  try {
    for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
      options.onPiece();
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

/** The line is an owner of its own: the request uses what was read of it for a part of its time. */
function readLong(line: Buffer, { parser, owner: { res, cancellation } }: LineOptions): SourceRow {
  const owner: Owner = { res, cancellation };
  return {
    // Taken now: a thread may be given the memory of the line.
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
