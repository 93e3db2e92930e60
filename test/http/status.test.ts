import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { STATUS } from '../../functions/http/status.ts';

test('every error code has a status, and every status an error code', () => {
  const source = readFileSync(new URL('../../functions/errors.ts', import.meta.url), 'utf8');
  const union = /export type ErrorCode =([^;]+);/.exec(source)![1]!;
  const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
  assert.ok(codes.length >= 15);
  assert.deepEqual(Object.keys(STATUS).sort(), codes.sort());
});

test('errors that the caller can correct are 4xx, and all others 5xx', () => {
  const caller = Object.entries(STATUS).filter(([, status]) => status >= 400 && status < 500);
  const server = Object.entries(STATUS).filter(([, status]) => status >= 500 && status < 600);
  assert.equal(caller.length + server.length, Object.keys(STATUS).length);
  assert.deepEqual(server.map(([code]) => code).sort(), [
    'DEADLINE',
    'DRAINING',
    'INTERNAL',
    'MODEL_FAILED',
    'NOT_READY',
    'UNSUPPORTED',
  ]);
});
