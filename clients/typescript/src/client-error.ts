/** The client's own error codes, in addition to those of the server (`INVALID_INPUT`, `OVERLOADED`, …). */
export type ClientCode =
  /** No connection, or one that broke. */
  | 'NETWORK'
  /** No response within `timeoutMs`. */
  | 'TIMEOUT'
  /** The response breaks the protocol. */
  | 'BAD_ANSWER'
  /** An error status without a code, from a proxy or another server. */
  | 'HTTP';

/** The fields of a {@link ClientError}, as far as they are known. */
export interface ClientErrorDetails {
  readonly status?: number | undefined;
  readonly path?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/**
 * A call that failed. An abort is not one: it rejects with the signal's own reason.
 * @example
 * try {
 *   await client.predict(['five']);
 * } catch (error) {
 *   if (error instanceof ClientError && error.code === 'INVALID_INPUT') console.error(error.path, error.message);
 *   else throw error;
 * }
 */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  /** The server's code, or one of {@link ClientCode}. */
  readonly code: ClientCode | (string & {});
  /** The HTTP status; undefined without a response. */
  readonly status: number | undefined;
  /** The place in the input, as a JavaScript expression: `features[2]`. */
  readonly path: string | undefined;
  /** The request's id, which the server's log has too. */
  readonly requestId: string | undefined;
  /** Seconds after which a retry may succeed: the server's `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(code: ClientError['code'], message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.path = details.path;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
  }
}

/** The error for a response that breaks the protocol. */
export const badAnswer = (message: string, cause?: unknown): ClientError =>
  new ClientError('BAD_ANSWER', message, { cause });
