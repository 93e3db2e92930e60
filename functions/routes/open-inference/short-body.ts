import { readBody } from '../../http/body/read-body.ts';
import type { RequestContext } from '../../http/request-context.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, readJson } from '../../tensor/json/reader.ts';
import { invalid } from './members.ts';

/** What these requests say fits into a few lines. */
const MAX_BYTES = 65_536;

/**
 * The body of a request that says in a few lines what is to be done: an object, or no body at all, which stands for an empty one.
 * @throws ServingError `INVALID_INPUT`; as `readBody` does.
 */
export async function readShortBody({ req }: Pick<RequestContext, 'req'>): Promise<JsonObject> {
  const body = await readBody(req, MAX_BYTES);
  const request = body.length === 0 ? {} : readJson(body);
  if (isObject(request)) return request;
  throw invalid(undefined, `the body: expected an object, or none, got ${describe(request)}`);
}
