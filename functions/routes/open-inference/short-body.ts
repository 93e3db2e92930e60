import type { BufferedBody } from '../../http/body/receive-body.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, readJson } from '../../tensor/json/reader.ts';
import { invalid } from './members.ts';

/** The body of a short JSON request, such as a change of settings: at most 64 KiB of any media type. */
export const SHORT_BODY: BufferedBody = { kind: 'buffered', limit: 65_536 };

/**
 * Parses a `SHORT_BODY`: a JSON object, or no body, which is read as an empty object.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readShortBody(body: Buffer): JsonObject {
  const request = body.length === 0 ? {} : readJson(body);
  if (isObject(request)) return request;
  throw invalid(undefined, `the body: expected an object, or none, got ${describe(request)}`);
}
