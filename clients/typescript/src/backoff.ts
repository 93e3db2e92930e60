import type { ClientError } from './client-error.ts';

const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** The longest `Retry-After` that is followed. */
const LONGEST_RETRY_AFTER_MS = 60_000;
/** The random part of the wait after `Retry-After`, so that callers that were refused together do not retry together. */
const SPREAD = 0.1;

/** Codes with which a stream ends early: the rows without a result are sent again. */
const STOPS = ['DRAINING', 'IDLE', 'MODEL_CHANGED'];

/** 502: a load balancer whose server reset the connection. */
const TRANSIENT_STATUSES = [429, 502, 503];

/** Whether the same call may succeed later. Repeating is safe: no call of this client changes the server. */
export const isTransient = ({ code, status }: ClientError): boolean =>
  code === 'NETWORK' || (status === undefined ? STOPS.includes(code) : TRANSIENT_STATUSES.includes(status));

/**
 * Milliseconds to wait before a call is repeated: the server's `Retry-After` and up to a tenth more, else a random time below a bound
 * that doubles with each repeat.
 * @param retries the repeats so far
 * @param retryAfter seconds
 */
export function backoff(retries: number, retryAfter: number | undefined, random = Math.random): number {
  if (retryAfter === undefined) return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** retries);
  return Math.min(LONGEST_RETRY_AFTER_MS, retryAfter * 1000) * (1 + SPREAD * random());
}

/** `Retry-After` in seconds from now. The header is a number of seconds or a date (RFC 9110, 10.2.3); undefined if it is neither. */
export function parseRetryAfter(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header);
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000);
}
