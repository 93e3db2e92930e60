import type { ServerResponse } from 'node:http';
import * as z from 'zod/mini';
import { ServingError } from '../../errors.ts';
import { weightOf } from '../../http/accept.ts';
import type { PieceReader } from '../../http/body/pieces.ts';
import { toServingError } from '../../http/error-response.ts';
import { delayRows } from '../../http/quota.ts';
import { type RequestContext, writeHead } from '../../http/request-context.ts';
import type { StreamRoute } from '../../http/router.ts';
import type { Repository } from '../../model/repository/repository.ts';
import type { Generation } from '../../model/serving/generation.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';
import type { BodyReader } from '../body-reader.ts';
import { createAdmit, modelOf, modelPaths } from '../model-address.ts';
import { createIdleTimer } from './idle-timer.ts';
import { predictRows, type ReadRow, type RowResult } from './row-batch.ts';
import { feedRows } from './row-feed.ts';
import { type RowSource, readInstances, readLines, type SourceRow } from './row-source.ts';
import { createRowStream, JSON_ARRAY, NDJSON, type RowStream, type RowSummary } from './row-stream.ts';

/** What the routes of `/batch_predict` need. */
export interface BatchPredictOptions {
  readonly repository: Repository;
  readonly parser: BodyReader;
  readonly metrics: Metrics;
  /** Most bytes of a buffered body, and of one NDJSON line. */
  readonly maxBodyBytes: number;
  /** Most rows of a batch, whatever `batch_size` a caller requests: it bounds the memory of a stream. */
  readonly maxBatchSize: number;
  /** Milliseconds after which a stream is ended if nothing is sent or read. */
  readonly idleMs: number;
  /** Aborted when the server drains. */
  readonly draining: AbortSignal;
}

const MEDIA_TYPES = {
  bufferedTypes: ['application/json'],
  streamTypes: ['application/x-ndjson', 'application/jsonl'],
};
const BATCHES_IN_FLIGHT = 4;
/** The rest of a stopped upload is discarded for so many idle times, so that its client gets to read the response. */
const LINGER_TIMES = 5;

/** A schema for the query of `/batch_predict`: `batch_size` is the most rows of a batch. */
export const batchQuerySchema = z.object({
  batch_size: z._default(
    z.pipe(
      z.pipe(z.string().check(z.regex(/^\d{1,4}$/)), z.transform(Number)),
      z.int().check(z.minimum(1), z.maximum(4096)),
    ),
    32,
  ),
});

/** `POST /batch_predict?batch_size=32`, also below the path of a model: predicts many rows, a batch at a time, and sends the predictions in the order of the rows. */
export function createBatchPredictRoutes(options: BatchPredictOptions): StreamRoute[] {
  const { repository, parser, metrics, maxBodyBytes, idleMs, draining } = options;

  async function handle(context: RequestContext, body: Buffer | PieceReader): Promise<void> {
    const batchSize = Math.min(readBatchSize(context.query), options.maxBatchSize);
    const source = Buffer.isBuffer(body) ? readInstances(await parser.parse(body, context)) : body;
    const model = await modelOf(repository, context);
    const live = model.live() ?? (await model.whenLive());
    live.hold();
    try {
      await stream(context, batchSize, source, live);
    } finally {
      live.release();
    }
  }

  async function stream(
    context: RequestContext,
    batchSize: number,
    body: RowSource | PieceReader,
    live: Generation,
  ): Promise<void> {
    const { req, res, cancellation } = context;
    const recorder = metrics.model(live.name);
    const framing = wantsArray(req.headers.accept) ? JSON_ARRAY : NDJSON;
    const rows = createRowStream({ framing, batchesInFlight: BATCHES_IN_FLIGHT, send });
    const ended = new AbortController();
    let idleFor: string | undefined;
    let blocked = false;
    const idle = createIdleTimer(idleMs, onIdle);

    function send(text: string): Promise<void> | undefined {
      // Complete rows among others: they are progress, however few bytes they have.
      idle.refresh();
      if (!res.headersSent) writeHead(context, 200, ['Content-Type', framing.type]);
      if (res.write(text)) return undefined;
      blocked = true;
      return drained(res).then(() => {
        blocked = false;
        idle.refresh();
        if (cancellation.cancelled) rows.abandon();
      });
    }

    function stop(): void {
      ended.abort();
      if ('stop' in body) body.stop();
    }

    /** Time spent in the model is not idle: runs have a bound of their own. */
    function onIdle(): void {
      if (blocked) idleFor = `the response was not read for ${idleMs} ms: read it while you send`;
      else if (rows.pending() === 0) idleFor = `${idle.sent()} was sent for ${idleMs} ms`;
      if (idleFor === undefined) {
        idle.refresh();
        return;
      }
      stop();
      rows.abandon();
    }

    // All rows of a response are of one version: for the rest, the client sends a new request, which gets the next version.
    const ends = [draining, live.superseded];
    for (const signal of ends) signal.addEventListener('abort', stop);
    // A signal may have been aborted while this request waited for the body or the model.
    if (ends.some(({ aborted }) => aborted)) stop();
    // Batches of a client that has left must not wait for its quota, and hold the model meanwhile.
    res.once('close', () => ended.abort());
    idle.refresh();
    const lines = { limit: maxBodyBytes, parser, owner: context, onPiece: idle.onPiece };
    const source = 'stop' in body ? readLines(body, lines) : body;
    let complete = false;
    try {
      complete = await feedRows(source, rows, {
        batchSize,
        read: (row) => readRow(row, live),
        run: (batch) => runBatch(context, batch, live, ended.signal),
        over: () => ended.signal.aborted || cancellation.cancelled,
      });
      await rows.finish();
    } finally {
      idle.end();
      ended.abort();
      for (const signal of ends) signal.removeEventListener('abort', stop);
      const { ok, failed } = rows.counts();
      recorder.rows(ok, failed);
      context.fault = rows.fault();
    }
    if (cancellation.cancelled) throw new ServingError('CLIENT_GONE', 'the client left in the middle of its rows');
    const stopped = whyStopped(complete, idleFor, draining.aborted);
    finish(context, rows, framing.last({ ...rows.counts(), stopped }), framing);
    if (stopped !== undefined) closeLater(context, idleMs);
  }

  const admit = createAdmit(repository);
  const body = { kind: 'streamed', limit: maxBodyBytes, ...MEDIA_TYPES } as const;
  return modelPaths('/batch_predict').map((at) => ({ method: 'POST', ...at, admit, body, handle }));
}

/**
 * Closes the connection of a stopped stream that does not end: once its client has neither sent nor read anything for `idleMs`,
 * or has continued to send for too long. The socket is the request's: an ended response has none.
 */
function closeLater({ req, res }: RequestContext, idleMs: number): void {
  const { socket } = req;
  let moved = socket.bytesRead + socket.bytesWritten;
  let times = 0;
  const timer = setInterval(() => {
    const over = req.complete && res.writableFinished;
    const before = moved;
    moved = socket.bytesRead + socket.bytesWritten;
    if (!over && moved !== before && ++times < LINGER_TIMES) return;
    clearInterval(timer);
    if (!over) socket.destroy();
  }, idleMs).unref();
}

/** Runs a batch when the caller's quota allows it. Once the stream has ended, it waits no longer: the last line has to be sent in time. */
function runBatch(
  context: RequestContext,
  batch: readonly (ReadRow | Promise<ReadRow>)[],
  live: Generation,
  ended: AbortSignal,
): Promise<readonly RowResult[]> {
  const run = (): Promise<readonly RowResult[]> => predictRows(batch, live, context.cancellation);
  const waiting = delayRows(context, batch.length, ended);
  return waiting === undefined ? run() : waiting.then(run);
}

function whyStopped(complete: boolean, idleFor: string | undefined, draining: boolean): RowSummary['stopped'] {
  if (idleFor !== undefined) return { code: 'IDLE', message: idleFor };
  if (complete) return undefined;
  return draining
    ? { code: 'DRAINING', message: 'the server is shutting down: send the rest again' }
    : { code: 'MODEL_CHANGED', message: 'a new version of the model serves: send the rest again' };
}

function finish(context: RequestContext, rows: RowStream, last: string, framing: typeof NDJSON): void {
  const { res } = context;
  const { ok, failed } = rows.counts();
  if (!res.headersSent) writeHead(context, 200, ['Content-Type', framing.type]);
  const lead = ok + failed === 0 ? framing.open : last === '' ? '' : framing.between;
  res.end(lead + last + framing.close);
}

function readRow(row: SourceRow, live: Generation): ReadRow | Promise<ReadRow> {
  const refuse = (error: unknown): ReadRow => ({ error: toServingError(error) });
  try {
    const feeds = row.read(live);
    return feeds instanceof Promise ? feeds.then((feeds) => ({ feeds }), refuse) : { feeds };
  } catch (error) {
    return refuse(error);
  }
}

function readBatchSize(query: string): number {
  const parsed = batchQuerySchema.safeParse(Object.fromEntries(new URLSearchParams(query)));
  if (parsed.success) return parsed.data.batch_size;
  const message = 'batch_size: expected an integer from 1 to 4096';
  throw new ServingError('INVALID_INPUT', message, { path: 'batch_size' });
}

const wantsArray = (accept: string | undefined): boolean =>
  weightOf(accept, 'application/json') > weightOf(accept, 'application/x-ndjson');

/** Settles when the client has read what was written, or has left. */
function drained(res: ServerResponse): Promise<void> {
  if (res.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      res.off('drain', done).off('close', done);
      resolve();
    };
    res.on('drain', done).on('close', done);
  });
}
