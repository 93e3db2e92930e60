import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cancellation } from '../engine/batcher.ts';
import type { ServingError } from '../errors.ts';
import { COMPRESS_FROM, type Coding, codingFor, compress } from './compress.ts';

/** One request and its response, as a route sees them. */
export interface RequestContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The caller's `X-Request-Id`, or one made here. */
  readonly id: string;
  /** What follows the `?`. */
  readonly query: string;
  /** What stands in the path where the route's has `{name}`: decoded, by that name. */
  readonly params: Readonly<Record<string, string>>;
  /** Gone once the client has left or the deadline has passed: no response is read then. */
  readonly cancellation: RequestState;
  /** What failed in the server although the response is a 200, for the log. */
  fault?: ServingError | undefined;
  /** The response that is being compressed: the request is not done before that. */
  sending?: Promise<void>;
  /** Called once the handler is done: what was read of a long body is not used any more. */
  releaseResult?: (() => void) | undefined;
  /** `performance.now()` at the request's head. */
  readonly startedAt: number;
}

/** Whether the response is still wanted. To read the state of the response costs less than a listener on every request. */
export class RequestState implements Cancellation {
  readonly #res: ServerResponse;
  /** The deadline has passed, and the response that says so was sent. */
  expired = false;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  /** The client has left before its response was written. */
  get left(): boolean {
    const { destroyed, writableEnded, req } = this.#res;
    return (destroyed || req.socket.destroyed) && !writableEnded;
  }

  get gone(): boolean {
    return this.expired || this.left;
  }
}

/** Sends a JSON text. */
export function sendJson(context: RequestContext, status: number, json: string): void {
  sendText(context, status, 'application/json', json);
}

/** Sends a text of the given media type, compressed where it is large and the client takes that. */
export function sendText(context: RequestContext, status: number, type: string, body: string): void {
  const { res } = context;
  const headers = ['Content-Type', type];
  if (body.length >= COMPRESS_FROM) {
    const coding = chooseCodingFor(context);
    if (coding !== undefined) {
      context.sending = sendCompressed(context, status, headers, [Buffer.from(body)], coding);
      return;
    }
    headers.push('Vary', 'Accept-Encoding');
  }
  const length = Buffer.byteLength(body);
  writeHead(context, status, headers, length);
  // A text of as many bytes as characters is ASCII, which takes the shorter way to the socket.
  res.end(body, length === body.length ? 'latin1' : 'utf8');
}

/**
 * Sends bytes, compressed where they are many and the client takes that. Otherwise the pieces go to the socket one by
 * one, in one system call where it takes them: nothing is put together first.
 * @param headers name and value in turn, the content type among them.
 */
export function sendBytes(
  context: RequestContext,
  status: number,
  headers: string[],
  pieces: readonly Uint8Array[],
): void {
  const { res } = context;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (length >= COMPRESS_FROM) {
    const coding = chooseCodingFor(context);
    if (coding !== undefined) {
      context.sending = sendCompressed(context, status, headers, pieces, coding);
      return;
    }
    headers.push('Vary', 'Accept-Encoding');
  }
  res.cork();
  writeHead(context, status, headers, length);
  for (const piece of pieces) res.write(piece);
  res.end();
  res.uncork();
}

/** The response to HEAD has the length of what is not compressed, for which nothing has to be compressed. */
const chooseCodingFor = ({ req }: RequestContext): Coding | undefined =>
  req.method === 'HEAD' ? undefined : codingFor(req.headers['accept-encoding'] as string | undefined);

async function sendCompressed(
  context: RequestContext,
  status: number,
  headers: string[],
  pieces: readonly Uint8Array[],
  coding: Coding,
): Promise<void> {
  const { res, cancellation } = context;
  const body = await compress(pieces, coding, () => cancellation.gone);
  if (cancellation.gone || res.headersSent) return;
  headers.push('Vary', 'Accept-Encoding', 'Content-Encoding', coding);
  writeHead(context, status, headers, body.length);
  res.end(body);
}

function writeHead({ res, id }: RequestContext, status: number, headers: string[], length: number): void {
  headers.push('Content-Length', String(length), 'X-Content-Type-Options', 'nosniff', 'X-Request-Id', id);
  res.writeHead(status, headers);
}
