import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOffMs } from '../functions/backoff.ts';

test('each failure waits twice as long as the one before, up to the longest', () => {
  assert.deepEqual(
    [1, 2, 3, 7, 400, 5000].map((failures) => backOffMs(failures, 1000, 60_000)),
    [1000, 2000, 4000, 60_000, 60_000, 60_000],
  );
});
