import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTarget } from '../../functions/http/target.ts';

test('a request target of any form is split into path and query', () => {
  for (const [url, path, query] of [
    ['/health', '/health', ''],
    ['/a?b=1&c=?', '/a', 'b=1&c=?'],
    ['/a?', '/a', ''],
    ['http://host/health', '/health', ''],
    ['HTTPS://user@host:8080/a/b?c=/d', '/a/b', 'c=/d'],
    ['http://host', '/', ''],
    ['http://host?q', '/', 'q'],
    ['http://[::1]:80/x', '/x', ''],
    ['//host/x', '//host/x', ''],
    ['*', '*', ''],
    ['ftp://host/x', 'ftp://host/x', ''],
    ['/http://host/x', '/http://host/x', ''],
  ]) {
    assert.deepEqual(readTarget(url!), { path, query }, url);
  }
});

test('a colon may be percent-encoded in a path, and nothing else changes', () => {
  assert.equal(readTarget('/v1/models/m%3Apredict').path, '/v1/models/m:predict');
  assert.equal(readTarget('/v1/models/a%2fb%3apredict%20?x=%3A').path, '/v1/models/a%2fb:predict%20');
  assert.equal(readTarget('/x?x=%3A').query, 'x=%3A');
});
