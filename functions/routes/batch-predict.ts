import type { ServerResponse } from 'node:http';
import * as z from 'zod';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import { mediaType, rawBody, readBodyWithin, refuseEncoding } from '../http/body-in.ts';
import type { Exchange } from '../http/exchange.ts';
import { toServingError } from '../http/failure.ts';
import type { JsonParser } from '../http/json-body.ts';
import { createLineCutter, type Line } from '../http/lines.ts';
import { createPieceReader, type PieceReader } from '../http/pieces.ts';
import type { Route } from '../http/router.ts';
import type { Generation } from '../model/generation.ts';
import type { Model } from '../model/model.ts';
import type { RowFeeds } from '../model/rows.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { readPredictBody } from './prediction.ts';
import { predictRows, type ReadRow, type RowResult } from './row-batch.ts';
import { createRowStream, JSON_ARRAY, NDJSON, type RowStream, type RowSummary } from './row-stream.ts';

export interface BatchPredictOptions {
  readonly model: Model;
  readonly parser: JsonParser;
  readonly metrics: Metrics;
  /** Bytes of a buffered body, and of one NDJSON line. */
  readonly maxBodyBytes: number;
  /** A stream in which neither side moves for this long is ended. */
  readonly idleMs: number;
  /** Aborted when the server drains. */
  readonly draining: AbortSignal;
}

const MEDIA_TYPES = ['application/json', 'application/x-ndjson', 'application/jsonl'];
const BATCHES_IN_FLIGHT = 4;

const querySchema = z.object({
  batch_size: z
    .string()
    .regex(/^\d{1,4}$/)
    .transform(Number)
    .pipe(z.number().min(1).max(4096))
    .default(32),
});

/** `POST /batch_predict?batch_size=32`: many rows in, their predictions out in the same order, a batch at a time. */
export function createBatchPredictRoute(options: BatchPredictOptions): Route {
  const { model, parser, metrics, maxBodyBytes, idleMs, draining } = options;

  async function handle(exchange: Exchange): Promise<void> {
    const { req, res, ticket } = exchange;
    const batchSize = readBatchSize(exchange.query);
    const type = mediaType(req, MEDIA_TYPES);
    refuseEncoding(req);
    const framing = wantsArray(req.headers.accept) ? JSON_ARRAY : NDJSON;
    const whole =
      type === 'application/json' ? await parser.parse(await readBodyWithin(req, maxBodyBytes, idleMs)) : undefined;
    const instances = whole === undefined ? undefined : readInstances(whole);
    if (whole === undefined) rawBody(req, maxBodyBytes);
    const live = model.live() ?? (await model.whenLive());
    const recorder = metrics.model(live.name);

    const reader = createPieceReader(req);
    const rows = createRowStream({
      framing,
      batchesInFlight: BATCHES_IN_FLIGHT,
      send,
    });
    let stopped: RowSummary['stopped'];
    let blocked = false;
    let idle: NodeJS.Timeout | undefined;

    function send(text: string): Promise<void> | undefined {
      idle?.refresh();
      if (!res.headersSent) res.writeHead(200, { 'Content-Type': framing.type, 'X-Request-Id': exchange.id });
      if (res.write(text)) return undefined;
      blocked = true;
      return drained(res).then(() => {
        blocked = false;
        idle?.refresh();
      });
    }

    function stop(code: 'DRAINING' | 'IDLE', message: string): void {
      stopped ??= { code, message };
      reader.stop();
      if (code === 'IDLE') rows.abandon();
    }

    /** Time spent in the model is not idle: runs have a bound of their own. */
    function onIdle(): void {
      if (blocked) stop('IDLE', `the answer was not read for ${idleMs} ms: read it while you send`);
      else if (rows.pending() === 0) stop('IDLE', `nothing was sent for ${idleMs} ms`);
      else idle?.refresh();
    }

    const onDrain = (): void => stop('DRAINING', 'the server is shutting down: send the rest again');
    draining.addEventListener('abort', onDrain);
    // The signal may have come while the body or the model was waited for.
    if (draining.aborted) onDrain();
    idle = setTimeout(onIdle, idleMs);
    try {
      const source = instances ?? readLines(reader, maxBodyBytes, () => idle?.refresh());
      await feed(
        source,
        batchSize,
        rows,
        (batch) =>
          predictRows(
            batch.map((read) => readRow(read, live)),
            live,
            ticket,
            recorder,
          ),
        () => stopped !== undefined || ticket.gone,
      );
      if (stopped?.code !== 'IDLE') await rows.finish();
    } finally {
      clearTimeout(idle);
      draining.removeEventListener('abort', onDrain);
      const { ok, failed } = rows.counts();
      recorder.rows(ok, failed);
    }
    if (ticket.gone) throw new ServingError('CLIENT_GONE', 'the client left in the middle of its rows');
    finish(exchange, framing.last({ ...rows.counts(), stopped }), framing, rows, stopped !== undefined);
  }

  function finish({ res, id }: Exchange, last: string, framing: typeof NDJSON, rows: RowStream, close: boolean): void {
    const { ok, failed } = rows.counts();
    if (!res.headersSent) res.writeHead(200, { 'Content-Type': framing.type, 'X-Request-Id': id });
    const lead = ok + failed === 0 ? framing.open : last === '' ? '' : framing.between;
    res.end(lead + last + framing.close);
    // What is left of a stopped stream is given one more idle time to be read.
    if (close) setTimeout(() => res.destroy(), idleMs).unref();
  }

  return { method: 'POST', path: '/batch_predict', streams: true, handle };
}

/** How one row is got at: a line to parse, or a value that stands in an array. @throws ServingError `INVALID_INPUT`. */
type Reader = (live: Generation) => RowFeeds;

function readRow(read: Reader, live: Generation): ReadRow {
  try {
    return { feeds: read(live) };
  } catch (error) {
    return { error: toServingError(error) };
  }
}

/** Puts rows into the stream, `batchSize` at a time; what a piece leaves over goes as a smaller batch, as nothing may follow it soon. */
async function feed(
  source: AsyncIterable<Iterable<Reader>> | Iterable<Iterable<Reader>>,
  batchSize: number,
  rows: RowStream,
  predict: (batch: readonly Reader[]) => Promise<readonly RowResult[]>,
  over: () => boolean,
): Promise<void> {
  for await (const reads of source) {
    let batch: Reader[] = [];
    for (const read of reads) {
      batch.push(read);
      if (batch.length < batchSize) continue;
      if (over()) return;
      await rows.put(predict(batch));
      batch = [];
    }
    if (over()) return;
    if (batch.length > 0) await rows.put(predict(batch));
  }
}

async function* readLines(reader: PieceReader, limit: number, onPiece: () => void): AsyncGenerator<Iterable<Reader>> {
  const cutter = createLineCutter(limit);
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
    onPiece();
    yield readEach(cutter.push(piece), limit);
  }
  yield readEach(cutter.end(), limit);
}

function* readEach(lines: Iterable<Line>, limit: number): Generator<Reader> {
  for (const line of lines) {
    yield (live) => {
      if (line !== undefined) return readPredictBody(readJson(line), live);
      throw new ServingError('TOO_LARGE', `the line is longer than ${limit} bytes (MAX_BODY_BYTES)`);
    };
  }
}

/** @throws ServingError `INVALID_INPUT` unless the body is an array of predict bodies or `{"instances": [row, …]}`. */
function readInstances(body: JsonValue): Iterable<Reader[]> {
  const bodies = Array.isArray(body) || body instanceof Float64Array;
  const list = bodies ? body : instancesOf(body);
  const reads = Array.from(list as ArrayLike<JsonValue>, (value, i): Reader => {
    if (bodies) return (live) => readPredictBody(value, live, `[${i}]`);
    return (live) => live.rows.decode(value, `instances[${i}]`);
  });
  return [reads];
}

function instancesOf(body: JsonValue): JsonValue[] | Float64Array {
  const instances =
    typeof body === 'object' && body !== null ? (body as { instances?: JsonValue }).instances : undefined;
  if (Array.isArray(instances) || instances instanceof Float64Array) return instances;
  const message =
    'the body: expected an array of {"features": …}, {"instances": [row, …]}, or NDJSON as application/x-ndjson';
  throw new ServingError('INVALID_INPUT', message);
}

function readBatchSize(query: string): number {
  const parsed = querySchema.safeParse(Object.fromEntries(new URLSearchParams(query)));
  if (parsed.success) return parsed.data.batch_size;
  const message = 'batch_size: expected a whole number from 1 to 4096';
  throw new ServingError('INVALID_INPUT', message, { path: 'batch_size' });
}

const wantsArray = (accept: string | undefined): boolean =>
  accept?.includes('application/json') === true && !accept.includes('ndjson');

function drained(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}
