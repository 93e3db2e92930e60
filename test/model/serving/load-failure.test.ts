import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { backOff, toLoadError } from '../../../functions/model/serving/load-failure.ts';

test('each failure waits twice as long as the one before, up to the longest', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 400].map((failures) => backOff(failures, 1000, 60_000)),
    [1000, 2000, 4000, 60_000, 60_000],
  );
});

test('an error of ours stays what it is, and any other is a failure of the model', () => {
  const own = new ServingError('NOT_READY', 'no memory');
  assert.equal(toLoadError(own), own);
  const other = new Error('disk on fire');
  assert.deepEqual([toLoadError(other).code, toLoadError(other).cause], ['MODEL_FAILED', other]);
});
