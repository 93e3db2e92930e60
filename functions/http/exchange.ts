import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Ticket } from '../engine/batcher.ts';

/** One request and its response, as a route sees them. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The caller's `X-Request-Id`, or one made here. */
  readonly id: string;
  /** What follows the `?`. */
  readonly query: string;
  /** Gone once the client has left or the deadline has passed: nobody reads an answer then. */
  readonly ticket: Ticket;
  /** `performance.now()` at the request's head. */
  readonly startedAt: number;
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
  res.writeHead(status, ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(body)), 'X-Request-Id', id]);
  res.end(body);
}
