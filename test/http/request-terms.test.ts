import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPriority, readTimeout } from '../../functions/http/request-terms.ts';

test('X-Request-Timeout-Ms shortens the time that the server allows, and never lengthens it', () => {
  assert.equal(readTimeout({}, 60_000), 60_000);
  assert.equal(readTimeout({ 'x-request-timeout-ms': '250' }, 60_000), 250);
  assert.equal(readTimeout({ 'x-request-timeout-ms': '99999999' }, 60_000), 60_000);
});

for (const given of ['', '0', '-1', '1.5', '1e3', ' 5', '5s', '9'.repeat(16), '1, 2']) {
  test(`X-Request-Timeout-Ms: ${JSON.stringify(given)} is refused, by its name`, () => {
    assert.throws(() => readTimeout({ 'x-request-timeout-ms': given }, 60_000), {
      code: 'INVALID_INPUT',
      path: 'X-Request-Timeout-Ms',
      message: `X-Request-Timeout-Ms: expected milliseconds, 1 or more, got ${given}`,
    });
  });
}

test('X-Priority is high, normal or low, in any case', () => {
  assert.deepEqual(
    [{}, { 'x-priority': 'high' }, { 'x-priority': 'Normal' }, { 'x-priority': 'LOW' }].map(readPriority),
    [undefined, 0, 1, 2],
  );
  for (const given of ['', 'urgent', '1']) {
    assert.throws(() => readPriority({ 'x-priority': given }), {
      code: 'INVALID_INPUT',
      message: `X-Priority: expected high, normal or low, got ${given}`,
    });
  }
});
