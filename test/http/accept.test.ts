import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseCoding, weightOf } from '../../functions/http/accept.ts';

test('a media type has the weight that the header gives it, and 0 when the header does not name it', () => {
  for (const [header, weight] of [
    [undefined, 0],
    ['', 0],
    ['application/json', 1],
    ['Application/JSON', 1],
    ['application/json;q=0', 0],
    ['application/json; q=0.000', 0],
    ['text/html, application/json;q=0.4', 0.4],
    ['application/json; charset=utf-8 ; Q=0.5', 0.5],
    ['application/jsonp', 0],
    ['*/*', 0],
    ['application/json;q=much', 0],
    ['application/json;q=2', 0],
  ] as const) {
    assert.equal(weightOf(header, 'application/json'), weight, header);
  }
});

test('the coding with the highest weight is chosen, and of several the first in order of preference', () => {
  for (const [header, coding] of [
    [undefined, 'identity'],
    ['', 'identity'],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['deflate', 'deflate'],
    ['br', 'identity'],
    ['deflate, gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'gzip'],
    ['gzip;q=0.1, deflate;q=0.9', 'deflate'],
    ['gzip;q=0', 'identity'],
    ['gzip; q=0.0, deflate', 'deflate'],
    ['*', 'gzip'],
    ['*;q=0', 'identity'],
    ['gzip;q=0, *', 'deflate'],
    ['identity', 'identity'],
    ['gzip, identity', 'gzip'],
    ['gzip;q=0.5, identity', 'identity'],
    ['gzip;q=0.5, identity;q=0.1', 'gzip'],
    ['identity;q=0, gzip;q=0', 'identity'],
  ] as const) {
    assert.equal(chooseCoding(header, ['gzip', 'deflate']), coding, header);
  }
});
