import { backoff, isTransient } from './backoff.ts';
import { badAnswer, ClientError } from './client-error.ts';
import { type Connection, send, toFailure, within } from './connection.ts';
import { readLines } from './lines.ts';
import type { Rows } from './row-reader.ts';
import { createRowWindow, type RowSender, type RowWindow, WINDOW_LENGTH } from './row-window.ts';
import { createDeadline, createIdleWatch, createStall, type Stall } from './timeouts.ts';

/** A call of `batchPredict`. */
interface BatchRequest {
  readonly path: string;
  readonly rows: Rows;
  readonly signal: AbortSignal | undefined;
  /** Most rows that are read and have no result. */
  readonly maxUnanswered: number;
  /** Whether one request is sent and read at the same time; otherwise each window of rows is a request. */
  readonly duplex: boolean;
}

/** A line of the response with the result of a row. */
export interface RowLine {
  /** The index of the row, among those of the request or of the call. */
  index: number;
}

interface LastLine {
  readonly done: boolean;
  readonly code?: string;
  readonly message?: string;
}

/** Whether requests are sent and read at the same time: until a request stalls, because a proxy reads its body to the end first. */
interface Sending {
  duplex: boolean;
}

/** A server that streams sends its first result sooner. After this time a proxy is assumed to wait for the end of the body. */
const STALL_MS = 1_000;
/** Characters that are passed to the connection at a time. */
const CHUNK_LENGTH = 65_536;

/**
 * Sends rows, and yields the response's line of each in order, with the row's index in `rows`. If the server stops or the connection
 * breaks, the rows without a result are sent again, in a new request.
 * @throws ClientError, the caller's reason to abort, or the error of `rows`, after the results of all rows before it.
 */
export async function* batchPredict(
  connection: Connection,
  request: BatchRequest,
): AsyncGenerator<RowLine, void, undefined> {
  const window = createRowWindow(request.rows, request.maxUnanswered);
  const deadline = createDeadline(request.signal, Number.POSITIVE_INFINITY);
  deadline.signal.addEventListener('abort', window.close);
  let answered = 0;
  let failures = 0;
  const sending = { duplex: request.duplex };
  try {
    deadline.signal.throwIfAborted();
    while (await window.waiting()) {
      const before = answered;
      let failure = new ClientError('NETWORK', 'the server ended its response before any row');
      try {
        for await (const line of exchange(connection, request, sending, window, deadline.signal)) {
          line.index = answered++;
          yield line;
        }
      } catch (error) {
        if (!(error instanceof ClientError) || !isTransient(error)) throw error;
        failure = error;
      }
      // Each result is progress, and resets the count of failures: so retries do not limit the number of rows.
      failures = answered > before ? 0 : failures + 1;
      if (failures > connection.retries) throw failure;
      if (failures > 0) await deadline.wait(backoff(failures - 1, failure.retryAfter));
    }
    deadline.signal.throwIfAborted();
    const failed = window.failure();
    if (failed !== undefined) throw failed.error;
  } finally {
    window.close();
    deadline.end();
  }
}

/** Sends one request, and yields the lines of its rows. @throws ClientError if rows were sent that have no result. */
async function* exchange(
  connection: Connection,
  { path }: BatchRequest,
  sending: Sending,
  window: RowWindow,
  signal: AbortSignal,
): AsyncGenerator<RowLine, void, undefined> {
  const sender = window.send();
  const headers = await within(connection.headers(), signal);
  headers.set('Content-Type', 'application/x-ndjson');
  headers.set('Accept', 'application/x-ndjson');
  const stall = createStall(STALL_MS);
  const body = sending.duplex ? createBody(sender, sending, stall) : ((await sender.take(WINDOW_LENGTH)) ?? '');
  const watch = createIdleWatch(signal, connection.timeoutMs, window.owedSince);
  let next = 0;
  let last: LastLine | undefined;
  try {
    watch.waits(true);
    const response = await send(connection, { method: 'POST', path, body, signal }, headers, watch.signal);
    stall.end();
    for await (const text of readLines(response)) {
      const line = parseLine(text);
      if ('done' in line) {
        last = line;
        // The other rows get no result: the rest of the body need not be sent.
        if (!line.done) break;
        continue;
      }
      if (line.index !== next || window.unanswered() === 0)
        throw badAnswer(
          `the response has row ${line.index}, after ${next} rows with a result and ${window.unanswered()} without one`,
        );
      next++;
      window.answer();
      watch.waits(false);
      yield line;
      watch.waits(true);
    }
  } catch (error) {
    throw toFailure(error, watch.signal, connection.url);
  } finally {
    stall.end();
    watch.end();
  }
  const missing = window.unanswered();
  if (last === undefined)
    throw new ClientError('NETWORK', `the response ended after ${next} rows, without its last line`);
  if (missing === 0) return;
  if (last.done) throw badAnswer(`the server is done, and ${missing} rows have no result`);
  throw new ClientError(last.code ?? 'NETWORK', last.message ?? 'the server stopped');
}

/** A body that is sent as rows are read; it ends when the response stalls. */
function createBody(sender: RowSender, sending: Sending, stall: Stall): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let cut = false;
  return new ReadableStream(
    {
      async pull(controller) {
        // Only until the first response: each race leaves a reaction at the promise that loses it.
        if (stall.state() === 'waiting') await Promise.race([stall.over, sender.ready()]);
        const ends = stall.state() === 'stalled';
        if (ends) sending.duplex = false;
        const text = ends ? undefined : await sender.take(CHUNK_LENGTH);
        if (cut) return;
        if (text === undefined) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
      cancel() {
        cut = true;
      },
    },
    { highWaterMark: 0 },
  );
}

function parseLine(text: string): RowLine | LastLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    throw badAnswer(`a line of the response is not JSON: ${text.slice(0, 200)}`, error);
  }
  if (typeof line === 'object' && line !== null && ('done' in line || 'index' in line))
    return line as RowLine | LastLine;
  throw badAnswer(`a line of the response belongs to no row: ${text.slice(0, 200)}`);
}
