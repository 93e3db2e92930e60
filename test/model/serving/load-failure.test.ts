import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { toLoadError } from '../../../functions/model/serving/load-failure.ts';

test('a ServingError stays what it is, and any other error is a failure of the model', () => {
  const own = new ServingError('NOT_READY', 'no memory');
  assert.equal(toLoadError(own), own);
  const other = new Error('disk on fire');
  assert.deepEqual([toLoadError(other).code, toLoadError(other).cause], ['MODEL_FAILED', other]);
});
