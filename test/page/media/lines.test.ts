import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../../../functions/page/failure.ts';
import { readLines } from '../../../functions/page/media/lines.ts';

const row = (index: number) => `{"index":${index},"prediction":[${index}],"outputs":{}}\n`;
const END = '{"done":true,"ok":2,"failed":0}\n';

test('the predictions of several rows are read in their order', () => {
  const read = readLines(row(0) + row(1) + END, 2);
  assert.deepEqual(
    read.map(({ prediction }) => prediction),
    [[0], [1]],
  );
});

test('a row that failed is the failure of all, with its place', () => {
  const failed =
    '{"index":1,"error":{"message":"features.text: too long","code":"INVALID_INPUT","path":"features.text"}}\n';
  assert.throws(
    () => readLines(row(0) + failed + END, 2),
    (error: Failure) =>
      error instanceof Failure &&
      error.message === 'The model does not take this input.' &&
      error.detail === 'features.text: too long' &&
      error.path === 'features.text',
  );
});

test('a response that ends before its last row is a failure', () => {
  const end = '{"done":false,"next_index":1,"code":"DRAINING","message":"stops"}\n';
  assert.throws(
    () => readLines(row(0) + end, 2),
    ({ detail }: Failure) => detail === 'The server sent results of 1 of 2 rows.',
  );
});
