import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ticket } from '../engine/batcher.ts';
import type { ServingError } from '../errors.ts';

/** One request and its response, as a route sees them. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The caller's `X-Request-Id`, or one made here. */
  readonly id: string;
  /** What follows the `?`. */
  readonly query: string;
  /** What stands in the path where the route's has `{name}`: decoded, by that name. */
  readonly params: Readonly<Record<string, string>>;
  /** Gone once the client has left or the deadline has passed: nobody reads an answer then. */
  readonly ticket: Caller;
  /** What went wrong here within an answer of 200, for the log. */
  fault?: ServingError | undefined;
  /** `performance.now()` at the request's head. */
  readonly startedAt: number;
}

/** Whether anyone still wants the answer. A look at the response costs less than a listener on every request. */
export class Caller implements Ticket {
  readonly #res: ServerResponse;
  /** The deadline has passed, and its answer is out. */
  expired = false;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  /** The client has left before its answer was written. */
  get left(): boolean {
    return this.#res.destroyed && !this.#res.writableEnded;
  }

  get gone(): boolean {
    return this.expired || this.left;
  }
}

/** Answers with a JSON text. */
export function sendJson({ res, id }: Exchange, status: number, json: string): void {
  send(res, id, status, 'application/json', json);
}

/** Answers with a text of the given media type. */
export function sendText({ res, id }: Exchange, status: number, type: string, body: string): void {
  send(res, id, status, type, body);
}

function send(res: ServerResponse, id: string, status: number, type: string, body: string): void {
  const length = Buffer.byteLength(body);
  res.writeHead(status, ['Content-Type', type, 'Content-Length', String(length), 'X-Request-Id', id]);
  // A text of as many bytes as characters is ASCII, which takes the shorter way to the socket.
  res.end(body, length === body.length ? 'latin1' : 'utf8');
}
