import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorCode, ServingError } from '../../errors.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { CloseReason, Metrics } from '../../telemetry/metrics/metrics.ts';
import { failureBody, sendFailure } from '../error-response.ts';

export interface BadRequestOptions {
  /** The latest response of a connection: HTTP/1.1 finishes it last. */
  readonly latest: (socket: Socket) => ServerResponse | undefined;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'connectionClosed'>;
}

interface Answer {
  readonly status: string;
  readonly reason: CloseReason;
  readonly code: ErrorCode;
  readonly message: string;
}

const NOT_HTTP: Answer = {
  status: '400 Bad Request',
  reason: 'bad_request',
  code: 'INVALID_INPUT',
  message: 'not an HTTP/1.1 request',
};
const ANSWERS: Readonly<Record<string, Answer>> = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    reason: 'headers_too_large',
    code: 'TOO_LARGE',
    message: 'the headers are larger than 16 KiB',
  },
  HPE_INVALID_EOF_STATE: {
    status: '400 Bad Request',
    reason: 'body_not_sent',
    code: 'INVALID_INPUT',
    message: 'the connection ended before the request did',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    reason: 'headers_timeout',
    code: 'REQUEST_TIMEOUT',
    message: 'the headers took too long',
  },
};
/** How long the connection is still read after its answer. */
const LINGER_MS = 2000;
/** A scanner must not fill the log: one line in this time, with how many there were. */
const LOG_EVERY_MS = 10_000;

/**
 * Answers what is no HTTP request in the one error shape, and closes its connection; each is counted, and some are logged.
 * @returns a listener for the server's `clientError`.
 */
export function createBadRequestListener({ latest, logger, metrics }: BadRequestOptions) {
  const broken = new WeakSet<Socket>();
  let unlogged = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;

  function answer(error: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const answer = ANSWERS[error.code ?? ''] ?? NOT_HTTP;
    metrics.connectionClosed(answer.reason);
    // An upload that dies half-way is nothing to warn of.
    if (answer.reason !== 'body_not_sent') log(answer, error);
    const id = randomUUID();
    const body = failureBody(new ServingError(answer.code, answer.message), id);
    const head = [
      `HTTP/1.1 ${answer.status}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'X-Content-Type-Options: nosniff',
      `X-Request-Id: ${id}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    // A client that goes on sending is read for a moment, so that it gets to read its answer.
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  function log({ message }: Answer, { code }: NodeJS.ErrnoException): void {
    unlogged += 1;
    const now = performance.now();
    if (now - loggedAt < LOG_EVERY_MS) return;
    logger.warning(`connections closed for what they sent; the latest: ${message}`, { reason: code, count: unlogged });
    unlogged = 0;
    loggedAt = now;
  }

  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    // The client has left: there is nobody to answer.
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    // Every piece that follows is nonsense as well, and the same answer stands for all.
    if (broken.has(socket)) return;
    broken.add(socket);
    const res = latest(socket);
    if (res === undefined || res.writableFinished) answer(error, socket);
    // The nonsense follows a whole request: that one is answered first.
    else if (res.req.complete) {
      socket.pause();
      res.once('finish', () => {
        socket.resume();
        answer(error, socket);
      });
    }
    // A second head would stand in the middle of the first one's body.
    else if (res.headersSent) socket.destroy();
    else answer(error, socket);
  };
}

/**
 * Refuses a request without the one `Host` that HTTP/1.1 asks for (RFC 9112, 3.2): Node's own answer to it has no body.
 * It goes through the response, as an answer that is still due to an earlier request of the connection goes first.
 * @returns false where there is nothing to refuse, and nothing was done.
 */
export function refuseHost(req: IncomingMessage, res: ServerResponse): boolean {
  const hosts = countHosts(req.rawHeaders);
  if (hosts === 1 || (hosts === 0 && req.httpVersion !== '1.1')) return false;
  res.shouldKeepAlive = false;
  const message = `Host: expected once in a request of HTTP/1.1, got ${hosts} of them`;
  sendFailure({ req, res, id: randomUUID() }, new ServingError('INVALID_INPUT', message, { path: 'Host' }));
  return true;
}

function countHosts(rawHeaders: readonly string[]): number {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  return hosts;
}
