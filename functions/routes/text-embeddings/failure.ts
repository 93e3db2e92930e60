import type { ErrorCode } from '../../errors.ts';
import { failureBody } from '../../http/error-response.ts';
import { type ShapeFailure, STATUS } from '../../http/status.ts';

type ErrorType = 'validation' | 'backend' | 'overloaded' | 'unhealthy';

/** The statuses that text-embeddings-inference gives where this server has others (router/src/http/server.rs). */
const STATUSES: Partial<Record<ErrorCode, number>> = {
  INVALID_INPUT: 422,
  MODEL_FAILED: 424,
  // "Returns a 424 status code if the model is not an embedding model."
  UNSUPPORTED: 424,
};
const TYPES: Partial<Record<ErrorCode, ErrorType>> = {
  OVERLOADED: 'overloaded',
  QUOTA_EXCEEDED: 'overloaded',
  MODEL_FAILED: 'backend',
  INTERNAL: 'backend',
  UNSUPPORTED: 'backend',
  DEADLINE: 'backend',
  NOT_READY: 'unhealthy',
  DRAINING: 'unhealthy',
};

/**
 * Writes an error as text-embeddings-inference does, `{"error", "error_type"}`, with the further members that errors of this server
 * have.
 */
export const shapeFailure: ShapeFailure = (error, requestId) => ({
  status: STATUSES[error.code] ?? STATUS[error.code],
  body: failureBody(error, requestId, { error_type: TYPES[error.code] ?? 'validation' }),
});

/** The same for routes that no model of this server has: status 501 for what is not supported. */
export const shapeUnsupported: ShapeFailure = (error, requestId) => {
  const failure = shapeFailure(error, requestId);
  return error.code === 'UNSUPPORTED' ? { ...failure, status: STATUS.UNSUPPORTED } : failure;
};
