import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../functions/errors.ts';

test('an error carries its code, its place, what the caller may do, and its cause', () => {
  const cause = new Error('socket hang up');
  const error = new ServingError('NOT_READY', 'the queue is full', { path: 'features[2]', retryAfter: 1, cause });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    [error.name, error.code, error.message, error.path, error.retryAfter, error.allow],
    ['ServingError', 'NOT_READY', 'the queue is full', 'features[2]', 1, undefined],
  );
  assert.equal(error.cause, cause);
  assert.match(error.stack!, /errors\.test\.ts/);
});

test('an error without a cause has none, not an undefined one', () => {
  assert.equal('cause' in new ServingError('NOT_FOUND', 'nothing here'), false);
  assert.equal(new ServingError('METHOD_NOT_ALLOWED', 'no', { allow: 'GET, HEAD' }).allow, 'GET, HEAD');
});

test('what thousands of requests may get at once has no stack, which takes longer than the refusal', () => {
  for (const code of ['INVALID_INPUT', 'OVERLOADED', 'QUOTA_EXCEEDED', 'CLIENT_GONE', 'DEADLINE'] as const) {
    assert.doesNotMatch(new ServingError(code, 'no').stack!, / at /, code);
  }
  assert.match(new Error('after it').stack!, / at /);
});
