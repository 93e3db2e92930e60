/** Every way a request can fail. The HTTP status of each is in `http/status.ts` alone. */
export type ErrorCode =
  | 'INVALID_INPUT'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'REQUEST_TIMEOUT'
  | 'TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'OVERLOADED'
  | 'QUOTA_EXCEEDED'
  | 'CLIENT_GONE'
  | 'MODEL_FAILED'
  | 'INTERNAL'
  | 'UNSUPPORTED'
  | 'NOT_READY'
  | 'DRAINING'
  | 'DEADLINE';

/** What a {@link ServingError} has beside its code and message. */
interface ErrorDetails {
  /** The place in the caller's input, as a JavaScript expression: `features[2]`. */
  path?: string;
  /** Seconds after which a retry may succeed: the `Retry-After` field of the response. */
  retryAfter?: number;
  /** For 405: the methods of the route, as the `Allow` field of the response lists them. */
  allow?: string;
  /** For 401 and 403: what the caller has to prove, as the `WWW-Authenticate` field of the response says it (RFC 6750, 3). */
  challenge?: string;
  /** For the log alone, beside the message: paths, accounts and the messages of other programs. */
  detail?: string | undefined;
  cause?: unknown;
}

/** Errors that come by the thousand: they need no stack, and capturing one takes longer than refusing the row. */
const WITHOUT_STACK: ReadonlySet<ErrorCode> = new Set([
  'INVALID_INPUT',
  'OVERLOADED',
  'QUOTA_EXCEEDED',
  'CLIENT_GONE',
  'DEADLINE',
]);

/**
 * The one error type that crosses rooms. `message` is sent to the caller: it names the place, what was expected and what was
 * given. `detail` and `cause` are for the log alone. A `MODEL_FAILED` of a load is only logged: callers get a
 * `NOT_READY`.
 */
export class ServingError extends Error {
  readonly code: ErrorCode;
  readonly path: string | undefined;
  readonly retryAfter: number | undefined;
  readonly allow: string | undefined;
  readonly challenge: string | undefined;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const depth = Error.stackTraceLimit;
    if (WITHOUT_STACK.has(code)) Error.stackTraceLimit = 0;
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    Error.stackTraceLimit = depth;
    this.name = 'ServingError';
    this.code = code;
    this.path = details.path;
    this.retryAfter = details.retryAfter;
    this.allow = details.allow;
    this.challenge = details.challenge;
    this.detail = details.detail;
  }
}
