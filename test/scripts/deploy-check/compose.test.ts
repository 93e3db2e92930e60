import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillIn, readBytes, readDuration } from '../../../scripts/deploy-check/compose.ts';

test("docker-compose's variables are read by their defaults", () => {
  assert.equal(fillIn('\u0024{HOST:-127.0.0.1}:\u0024{PORT-80}:8080'), '127.0.0.1:80:8080');
  assert.equal(fillIn('a$$b'), 'a$b');
  assert.equal(fillIn('\u0024{A:-}'), '');
  for (const open of ['$A', '\u0024{A}', '\u0024{A:?say it}']) assert.equal(fillIn(open), undefined);
});

test("docker-compose's durations and sizes are read", () => {
  assert.deepEqual(['90', '10s', '1m30s', '500ms', '1h', 'soon', '10 s'].map(readDuration), [
    90_000,
    10_000,
    90_000,
    500,
    3_600_000,
    undefined,
    undefined,
  ]);
  assert.deepEqual(['1024', '1k', '512mb', '1g', '2GB', '8b', 'all', undefined].map(readBytes), [
    1024,
    1024,
    2 ** 29,
    2 ** 30,
    2 ** 31,
    8,
    undefined,
    undefined,
  ]);
});
