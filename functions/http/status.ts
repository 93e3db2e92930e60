import type { ErrorCode, ServingError } from '../errors.ts';

/** The HTTP status of each error code. */
export const STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_INPUT: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  OVERLOADED: 429,
  QUOTA_EXCEEDED: 429,
  // For the log and the metrics: the client has closed the connection. The number is nginx's.
  CLIENT_GONE: 499,
  MODEL_FAILED: 500,
  INTERNAL: 500,
  UNSUPPORTED: 501,
  NOT_READY: 503,
  DRAINING: 503,
  DEADLINE: 504,
};

/** An error response of a dialect. */
export interface Failure {
  readonly status: number;
  /** A JSON text. */
  readonly body: string;
}

/** Writes an error in the form of a dialect whose clients read another than that of the native routes. */
export type ShapeFailure = (error: ServingError, requestId: string) => Failure;
