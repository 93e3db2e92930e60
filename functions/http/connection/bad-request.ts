import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorCode, ServingError } from '../../errors.ts';
import type { Logger } from '../../telemetry/log/logger.ts';
import type { CloseReason, Metrics } from '../../telemetry/metrics/metrics.ts';
import { failureBody } from '../error-response.ts';
import { DEFAULT_FIELDS } from '../response-fields.ts';
import { createLogInterval } from './log-interval.ts';

interface BadRequestOptions {
  /** The response of a connection's latest request, which HTTP/1.1 finishes last. */
  readonly latest: (socket: Socket) => ServerResponse | undefined;
  readonly logger: Logger;
  readonly metrics: Pick<Metrics, 'connectionClosed'>;
}

interface Refusal {
  readonly status: string;
  readonly reason: CloseReason;
  readonly code: ErrorCode;
  readonly message: string;
}

const NOT_HTTP: Refusal = {
  status: '400 Bad Request',
  reason: 'bad_request',
  code: 'INVALID_INPUT',
  message: 'not an HTTP/1.1 request',
};
/** By the code of Node's error; any other is `NOT_HTTP`. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
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
/** The fields of every response, a line each. */
const FIELDS = Array.from({ length: DEFAULT_FIELDS.data.length / 2 }, (_, i) =>
  DEFAULT_FIELDS.data.slice(2 * i, 2 * i + 2).join(': '),
);
/** How long the connection is still read after the response. */
const LINGER_MS = 2000;

/**
 * Responds to bytes that are not an HTTP request with the one error shape, and closes the connection. Each connection is counted;
 * at most one line in 10 s is logged.
 * @returns a listener for the server's `clientError`.
 */
export function createBadRequestListener({ latest, logger, metrics }: BadRequestOptions) {
  const broken = new WeakSet<Socket>();
  const countDue = createLogInterval();

  function refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const refusal = REFUSALS[error.code ?? ''] ?? NOT_HTTP;
    metrics.connectionClosed(refusal.reason);
    // An interrupted upload is common, and needs no warning.
    if (refusal.reason !== 'body_not_sent') log(refusal, error);
    const id = randomUUID();
    const body = failureBody(new ServingError(refusal.code, refusal.message), id);
    const head = [
      `HTTP/1.1 ${refusal.status}`,
      'Content-Type: application/json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${id}`,
      'Connection: close',
      ...FIELDS,
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    // Closing while the client sends would reset the connection, and the client would lose the response.
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  function log({ message }: Refusal, { code }: NodeJS.ErrnoException): void {
    const count = countDue();
    if (count === undefined) return;
    logger.warning(`connections closed because of what they sent; the latest: ${message}`, {
      reason: code,
      count,
    });
  }

  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    // The client has closed the connection: a response could not be sent.
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      socket.destroy();
      return;
    }
    // Node reports each further piece as well: one response is enough.
    if (broken.has(socket)) return;
    broken.add(socket);
    const res = latest(socket);
    if (res === undefined || res.writableFinished) refuse(error, socket);
    // The bytes follow a complete request, whose response goes first.
    else if (res.req.complete) {
      socket.pause();
      res.once('finish', () => {
        socket.resume();
        refuse(error, socket);
      });
    }
    // A second response would be read as part of the body of the first.
    else if (res.headersSent) socket.destroy();
    else refuse(error, socket);
  };
}
