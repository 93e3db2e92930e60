import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../access/caller.ts';
import type { Priority, RequestTerms } from '../engine/batcher.ts';
import type { ServingError } from '../errors.ts';
import { COMPRESS_FROM, type Coding, codingFor, compress } from './compress.ts';
import { DEFAULT_FIELDS, type ResponseFields } from './response-fields.ts';
import type { ShapeFailure } from './status.ts';

/** One request and its response, as a route sees them. */
export interface RequestContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The caller's `X-Request-Id`, or a generated one. */
  readonly id: string;
  /** What follows the `?`. */
  readonly query: string;
  /** The parameters in the path, percent-decoded: the value of `{name}` is that of `name`. */
  readonly params: Readonly<Record<string, string>>;
  /** `cancelled` once the client has left or the deadline has passed: no response can be sent then. */
  readonly cancellation: RequestState;
  /** Who has sent it; undefined if the route may be used without authentication. */
  caller?: Caller | undefined;
  /** A fault of the server or the model in a part of a response with status 200, for the log. */
  fault?: ServingError | undefined;
  /** Writes its errors, in a dialect that has a form of its own for them. */
  shapeFailure?: ShapeFailure | undefined;
  /** Settles when the response is compressed and sent; the router waits for it. */
  sending?: Promise<void>;
  /** Called once the handler has responded without an error: frees the memory of the values that were read from a long body. */
  freeResult?: (() => void) | undefined;
  /** Called once the handler is done: releases the memory that is reserved for a long body's values. */
  releaseResult?: (() => void) | undefined;
  /** The fields of its response that are not its handler's. Default: `DEFAULT_FIELDS`. */
  readonly fields?: ResponseFields;
  /** `performance.now()` at the request's head. */
  readonly startedAt: number;
}

/** Whether the client still waits for the response. Reading the response's state costs less than a listener on every request. */
export class RequestState implements RequestTerms {
  readonly #res: ServerResponse;
  /** The deadline has passed, and the response that says so was sent. */
  expired = false;
  deadline: number | undefined;
  priority: Priority | undefined;
  caller: string | undefined;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  /** The client has left before its response was written. */
  get left(): boolean {
    const { destroyed, writableEnded, req } = this.#res;
    return (destroyed || req.socket.destroyed) && !writableEnded;
  }

  get cancelled(): boolean {
    return this.expired || this.left;
  }
}

/** Sends a JSON text, as {@link sendText} does. */
export function sendJson(context: RequestContext, status: number, json: string): void {
  sendText(context, status, 'application/json', json);
}

/** Sends a text of the given media type, compressed if it is large and the client accepts a coding. */
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
  // A text of as many bytes as characters is ASCII, which Node writes faster as latin1.
  res.end(body, length === body.length ? 'latin1' : 'utf8');
}

/**
 * Sends bytes, compressed if they are many and the client accepts a coding. Otherwise the pieces are written to the socket
 * without being concatenated, in one system call if the kernel accepts them all.
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

/** The response to HEAD has the length of the uncompressed body: so nothing has to be compressed for it. */
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
  const body = await compress(pieces, coding, () => cancellation.cancelled);
  if (cancellation.cancelled || res.headersSent) return;
  headers.push('Vary', 'Accept-Encoding', 'Content-Encoding', coding);
  writeHead(context, status, headers, body.length);
  res.end(body);
}

/**
 * Sends the head of a response with data.
 * @param headers name and value in turn, the content type among them; changed.
 * @param length bytes of the body; undefined if they are not known yet.
 */
export function writeHead(
  { res, id, caller, fields = DEFAULT_FIELDS }: RequestContext,
  status: number,
  headers: string[],
  length?: number,
): void {
  if (length !== undefined) headers.push('Content-Length', String(length));
  headers.push('X-Request-Id', id, ...fields.data);
  if (caller?.quota !== undefined) headers.push(...caller.quota.fields());
  res.writeHead(status, headers);
}
