import { backoff, isTransient } from './backoff.ts';
import { badAnswer, ClientError } from './client-error.ts';
import { type Connection, send, toFailure, within } from './connection.ts';
import { readLines } from './lines.ts';
import type { Rows } from './row-reader.ts';
import { createRowWindow, type RowSender, type RowWindow, WINDOW_LENGTH } from './row-window.ts';
import { createDeadline, createIdleWatch, createStall, type Stall } from './timeouts.ts';

export interface BatchRequest {
  readonly path: string;
  readonly rows: Rows;
  readonly signal: AbortSignal | undefined;
  /** Rows that may be read and not answered. */
  readonly maxUnanswered: number;
  /** Send and read one request at the same time; else a request for each window of rows. */
  readonly duplex: boolean;
}

/** A line of the answer that is about a row. */
export interface RowLine {
  index: number;
}

interface LastLine {
  readonly done: boolean;
  readonly code?: string;
  readonly message?: string;
}

/** Whether requests are sent and read at once: until one shows that something on the way reads a body to its end first. */
interface Sending {
  duplex: boolean;
}

/** A server that streams answers its first row sooner. After this time it is taken to wait for the end of the body, which a window never sends. */
const STALL_MS = 1_000;
/** Characters that are handed to the connection at a time. */
const CHUNK_LENGTH = 65_536;

/**
 * Sends rows, and gives the answer's line of each in order, with the row's index in `rows`. Where the server stops or the
 * connection breaks, the rows that were not answered are sent again, in a new request.
 * @throws ClientError, the caller's reason to abort, or what `rows` threw, once all rows before that are answered.
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
      let failure = new ClientError('NETWORK', 'the server ended its answer before any row');
      try {
        for await (const line of exchange(connection, request, sending, window, deadline.signal)) {
          line.index = answered++;
          yield line;
        }
      } catch (error) {
        if (!(error instanceof ClientError) || !isTransient(error)) throw error;
        failure = error;
      }
      // A row that comes through is progress: no number of rows is too much for the retries.
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

/** One request: the lines of the rows that it answers. @throws ClientError where rows were sent that it does not. */
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
        // What was not answered never will be: the rest of the body need not be sent.
        if (!line.done) break;
        continue;
      }
      if (line.index !== next || window.unanswered() === 0)
        throw badAnswer(
          `the answer has row ${line.index}, of ${next} answered and ${window.unanswered()} unanswered rows`,
        );
      next++;
      window.answer();
      watch.waits(false);
      yield line;
      watch.waits(true);
    }
  } catch (error) {
    throw toFailure(error, watch.signal);
  } finally {
    stall.end();
    watch.end();
  }
  const missing = window.unanswered();
  if (last === undefined)
    throw new ClientError('NETWORK', `the answer ended after ${next} rows, without its last line`);
  if (missing === 0) return;
  if (last.done) throw badAnswer(`the server is done, and ${missing} rows are not answered`);
  throw new ClientError(last.code ?? 'NETWORK', last.message ?? 'the server stopped');
}

/** A body that is sent as rows come; it ends where the answer stalls. */
function createBody(sender: RowSender, sending: Sending, stall: Stall): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let cut = false;
  return new ReadableStream(
    {
      async pull(controller) {
        // Asked only until the first answer: each race leaves something behind at the promise that loses it.
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
    throw badAnswer(`a line of the answer is not JSON: ${text.slice(0, 200)}`, error);
  }
  if (typeof line === 'object' && line !== null && ('done' in line || 'index' in line))
    return line as RowLine | LastLine;
  throw badAnswer(`a line of the answer is of no row: ${text.slice(0, 200)}`);
}
