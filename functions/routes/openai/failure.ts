import type { ErrorCode } from '../../errors.ts';
import { type ShapeFailure, STATUS } from '../../http/status.ts';

/** OpenAI's codes of errors (https://platform.openai.com/docs/guides/error-codes). Others have none. */
const CODES: Partial<Record<ErrorCode, string>> = {
  UNAUTHORIZED: 'invalid_api_key',
  NOT_FOUND: 'model_not_found',
  OVERLOADED: 'rate_limit_exceeded',
  QUOTA_EXCEEDED: 'rate_limit_exceeded',
};

/**
 * Writes an error as OpenAI does: `{"error": {"message", "type", "param", "code"}}`. What is not supported has status 400: clients
 * retry every 5xx.
 */
export const shapeFailure: ShapeFailure = ({ code, message, path = null }) => {
  const status = code === 'UNSUPPORTED' ? STATUS.INVALID_INPUT : STATUS[code];
  const error = { message, type: typeOf(status), param: path, code: CODES[code] ?? null };
  return { status, body: JSON.stringify({ error }) };
};

function typeOf(status: number): string {
  if (status === STATUS.OVERLOADED) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
