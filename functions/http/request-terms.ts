import type { IncomingHttpHeaders } from 'node:http';
import type { Priority } from '../engine/batcher.ts';
import { ServingError } from '../errors.ts';
import { shorten } from '../shorten.ts';

const PRIORITY_NAMES: readonly string[] = ['high', 'normal', 'low'];

/**
 * Reads the field `X-Request-Timeout-Ms`: how long the caller waits for the response.
 * @param most milliseconds that the server allows, which are the default.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readTimeout(headers: IncomingHttpHeaders, most: number): number {
  const given = headers['x-request-timeout-ms'];
  if (given === undefined) return most;
  if (typeof given === 'string' && /^[1-9]\d{0,14}$/.test(given)) return Math.min(Number(given), most);
  const path = 'X-Request-Timeout-Ms';
  throw new ServingError('INVALID_INPUT', `${path}: expected milliseconds, 1 or more, got ${shorten(String(given))}`, {
    path,
  });
}

/**
 * Reads the field `X-Priority`.
 * @returns undefined if the request has none.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readPriority(headers: IncomingHttpHeaders): Priority | undefined {
  const given = headers['x-priority'];
  if (given === undefined) return undefined;
  const priority = PRIORITY_NAMES.indexOf(String(given).toLowerCase());
  if (priority !== -1) return priority as Priority;
  const path = 'X-Priority';
  throw new ServingError('INVALID_INPUT', `${path}: expected high, normal or low, got ${shorten(String(given))}`, {
    path,
  });
}
