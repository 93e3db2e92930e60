import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, isTransient, parseRetryAfter } from '../../../clients/typescript/src/backoff.ts';
import { ClientError } from '../../../clients/typescript/src/client-error.ts';

const least = (): number => 0;
const most = (): number => 1;

test('without a word of the server the wait is random below 100 ms, doubled each time, up to 10 s', () => {
  assert.deepEqual(
    [0, 1, 2, 6, 7, 30].map((retries) => backoff(retries, undefined, most)),
    [100, 200, 400, 6400, 10_000, 10_000],
  );
  assert.equal(backoff(3, undefined, least), 0);
});

test('Retry-After is waited for, and up to a tenth longer, but never more than 60 s and its tenth', () => {
  assert.deepEqual([backoff(5, 2, least), backoff(0, 2, most), backoff(0, 3600, least)], [2000, 2200, 60_000]);
});

test('Retry-After is read as seconds or as a date, and what is neither is no word at all', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const cases: [string | null, number | undefined][] = [
    ['0', 0],
    ['120', 120],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
    ['Wed, 31 Dec 2025 23:59:59 GMT', 0],
    ['soon', undefined],
    ['-1x', undefined],
    ['', undefined],
    [null, undefined],
  ];
  for (const [header, seconds] of cases) assert.equal(parseRetryAfter(header, now), seconds, String(header));
});

test('only what passes is repeated: no connection, 429, 502, 503, and a stream that was stopped', () => {
  const statuses = [400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 501, 502, 503, 504];
  const repeated = statuses.filter((status) => isTransient(new ClientError('OVERLOADED', '', { status })));
  assert.deepEqual(repeated, [429, 502, 503]);
  const codes = ['NETWORK', 'DRAINING', 'IDLE', 'MODEL_CHANGED', 'TIMEOUT', 'BAD_ANSWER', 'INVALID_INPUT'];
  assert.deepEqual(
    codes.filter((code) => isTransient(new ClientError(code, ''))),
    ['NETWORK', 'DRAINING', 'IDLE', 'MODEL_CHANGED'],
  );
});
