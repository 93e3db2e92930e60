import type { BufferedBody } from '../../http/body/receive-body.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, readJson } from '../../tensor/json/reader.ts';
import { invalid } from './members.ts';

/** The body of a request that says in a few lines what is to be done. */
export const SHORT_BODY: BufferedBody = { kind: 'buffered', limit: 65_536 };

/**
 * Reads a `SHORT_BODY`: an object, or no body at all, which stands for an empty one.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readShortBody(body: Buffer): JsonObject {
  const request = body.length === 0 ? {} : readJson(body);
  if (isObject(request)) return request;
  throw invalid(undefined, `the body: expected an object, or none, got ${describe(request)}`);
}
