import type { IncomingMessage } from 'node:http';
import { ServingError } from '../errors.ts';
import { DirectMessage } from './body/direct-message.ts';
import type { RequestContext } from './request-context.ts';
import { DEFAULT_FIELDS } from './response-fields.ts';
import { STATUS } from './status.ts';

/** How long the rest of a refused body is read and discarded, so that the client can read the response. */
const LINGER_MS = 2000;

/** Converts any error to one that clients may see. An error that is not a `ServingError` is a bug of this server: its text is only logged. */
export function toServingError(error: unknown): ServingError {
  if (error instanceof ServingError) return error;
  return new ServingError('INTERNAL', 'internal error; the log has it under the request id', { cause: error });
}

/** The error body of most dialects: `{"error", "code", "path"?, "request_id"}`. @param more further members */
export function failureBody(error: ServingError, requestId: string, more?: Readonly<Record<string, string>>): string {
  const { message, code, path } = error;
  return JSON.stringify({ error: message, ...more, code, path, request_id: requestId });
}

/** Whether a request has a body of which some has not arrived. */
export function isArriving(req: IncomingMessage): boolean {
  if (req.complete || 'rawBody' in req) return false;
  return Number(req.headers['content-length'] ?? 0) > 0 || req.headers['transfer-encoding'] !== undefined;
}

/** The rest of a body of at most so many bytes, which most clients have sent by now, costs less than another connection. */
const SHORT_BODY = 65_536;

/** Whether a client will come back, and the rest of its body may be awaited. */
function keepsConnection({ headers }: IncomingMessage, { code }: ServingError): boolean {
  return code === 'OVERLOADED' && Number(headers['content-length'] ?? Number.NaN) <= SHORT_BODY;
}

/**
 * Sends an error response. When the head of another response has been sent, the connection is closed instead.
 * @param given default: the status of the error's code.
 * @returns the status.
 */
export function sendFailure(
  {
    req,
    res,
    id,
    caller,
    fields = DEFAULT_FIELDS,
    shapeFailure,
  }: Pick<RequestContext, 'req' | 'res' | 'id' | 'caller' | 'fields' | 'shapeFailure'>,
  error: ServingError,
  given = STATUS[error.code],
): number {
  if (res.headersSent) {
    res.destroy();
    return given;
  }
  const { status, body } = shapeFailure?.(error, id) ?? { status: given, body: failureBody(error, id) };
  const length = Buffer.byteLength(body);
  const headers = [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(length),
    'X-Request-Id',
    id,
    ...fields.data,
  ];
  if (error.retryAfter !== undefined) headers.push('Retry-After', String(error.retryAfter));
  if (caller?.quota !== undefined) headers.push(...caller.quota.fields());
  if (error.allow !== undefined) headers.push('Allow', error.allow);
  if (error.challenge !== undefined) headers.push('WWW-Authenticate', error.challenge);
  // RFC 9110, 11.6.1: a 401 names the scheme.
  else if (error.code === 'UNAUTHORIZED') headers.push('WWW-Authenticate', 'Bearer');
  const half = isArriving(req);
  const closes = half && !keepsConnection(req, error);
  if (closes || error.code === 'DRAINING') headers.push('Connection', 'close');
  res.writeHead(status, headers);
  if (!closes) {
    // As of `sendText`.
    res.end(body, length === body.length ? 'latin1' : 'utf8');
    if (half) discard(req);
    return status;
  }
  // Closing while the client sends would reset the connection, and the client would lose the response.
  res.write(body);
  const end = (): void => {
    clearTimeout(timer);
    res.end();
  };
  const timer = setTimeout(end, LINGER_MS);
  discard(req.once('end', end).once('close', end));
  return status;
}

/** Reads the rest of a body to nowhere. */
function discard(req: IncomingMessage): void {
  if (req instanceof DirectMessage) req.release();
  req.resume();
}
