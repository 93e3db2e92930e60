import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { LoadFailures, toLoadError } from '../../../functions/model/serving/load-failure.ts';

test('a ServingError stays what it is, and any other error is a failure of the model', () => {
  const own = new ServingError('NOT_READY', 'no memory');
  assert.equal(toLoadError(own), own);
  const other = new Error('disk on fire');
  assert.deepEqual([toLoadError(other).code, toLoadError(other).cause], ['MODEL_FAILED', other]);
});

test('a load for which there is no room may be tried again when the error says', (t) => {
  t.mock.method(performance, 'now', () => 0);
  const failures = new LoadFailures();
  assert.ok(failures.record(new ServingError('NOT_READY', 'no room', { retryAfter: 5 }), 'listing'));
  assert.equal(failures.waitMs(), 5000);
  assert.ok(!failures.record(new ServingError('MODEL_FAILED', 'no model'), 'loading'));
  assert.equal(failures.waitMs(), 1000);
});
