import { ServingError } from '../errors.ts';

const REALM = 'Bearer realm="onnx-cloud-run"';

/** A request without credentials (RFC 6750, 3.1: the challenge has no error then). */
export function noCredentials(message: string): ServingError {
  return new ServingError('UNAUTHORIZED', message, { challenge: REALM });
}

/**
 * A request with credentials that are not valid.
 * @param description sent to the caller in the challenge: ASCII without quotation marks and backslashes.
 * @param detail for the log: why the token is not valid.
 */
export function invalidToken(description: string, detail?: string, message = description): ServingError {
  const challenge = `${REALM}, error="invalid_token", error_description="${description}"`;
  return new ServingError('UNAUTHORIZED', message, { challenge, detail });
}

/** A request of a caller that lacks a right. @param description as for {@link invalidToken}. */
export function insufficientScope(description: string): ServingError {
  const challenge = `${REALM}, error="insufficient_scope", error_description="${description}"`;
  return new ServingError('FORBIDDEN', description, { challenge });
}
