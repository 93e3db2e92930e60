import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Answer, call, linesOf, post, predict } from '../../helpers/calls.ts';
import type { Host, HostKind } from '../../helpers/hosts.ts';

/** MAX_BODY_BYTES of the host. */
const LIMIT = 4096;

function assertFailure({ status, headers, json }: Answer, expected: number, code: string): void {
  const { error, code: given, request_id, path, ...rest } = json();
  assert.deepEqual([status, given], [expected, code]);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('x-request-id'), request_id);
  assert.match(request_id, /^[\w.:-]{1,128}$/);
  assert.ok(typeof error === 'string' && error.length > 5);
  assert.ok(path === undefined || typeof path === 'string');
  assert.deepEqual(rest, {}, 'nothing else stands in an error');
}

/** The one error shape. */
export function failures(host: () => Host, kind: HostKind): void {
  describe('failures', { concurrency: 1 }, () => {
    test('X-Request-Id is given back, with an answer and with an error', async () => {
      const headers = { 'x-request-id': 'abc-1.2:3_4' };
      const [good, bad] = [await predict(host(), [1, 2, 3, 4], headers), await predict(host(), [1], headers)];
      assert.deepEqual([good.status, good.headers.get('x-request-id')], [200, 'abc-1.2:3_4']);
      assertFailure(bad, 400, 'INVALID_INPUT');
      assert.equal(bad.json().request_id, 'abc-1.2:3_4');
    });

    test('a request id that could break a log line or a header is replaced by one of our own', async () => {
      for (const id of ['a b', '"', 'x'.repeat(129), '<script>']) {
        const bad = await predict(host(), [1], { 'x-request-id': id });
        assertFailure(bad, 400, 'INVALID_INPUT');
        assert.notEqual(bad.json().request_id, id);
      }
    });

    test('every request without an id gets another one', async () => {
      const ids = await Promise.all(
        Array.from({ length: 20 }, async () => (await predict(host(), [1])).json().request_id),
      );
      assert.equal(new Set(ids).size, 20);
    });

    test('404 for a path where nothing is', async () => {
      for (const path of [
        '/index.html',
        '/predict/',
        '/PREDICT',
        '/nothing?x=1',
        '/healthz',
        `/${'long'.repeat(500)}`,
      ]) {
        const answer = await call(host(), path);
        assertFailure(answer, 404, 'NOT_FOUND');
        assert.ok(answer.text.length < 500);
      }
    });

    test('405 with Allow for a method that a path does not take', async () => {
      const cases = [
        ['GET', '/predict', 'POST'],
        ['PUT', '/predict', 'POST'],
        ['DELETE', '/batch_predict', 'POST'],
        ['POST', '/health', 'GET, HEAD'],
        ['POST', '/ready', 'GET, HEAD'],
        ['PATCH', '/metrics', 'GET, HEAD'],
        ['OPTIONS', '/predict', 'POST'],
      ] as const;
      for (const [method, path, allow] of cases) {
        const answer = await call(host(), path, { method });
        assertFailure(answer, 405, 'METHOD_NOT_ALLOWED');
        assert.equal(answer.headers.get('allow'), allow);
      }
    });

    test('413 for a body above MAX_BODY_BYTES, and none for one of just that size', async () => {
      const full = `{"features":[1,2,3,4]}`.padEnd(LIMIT);
      assert.equal((await post(host(), '/predict', full)).status, 200);
      for (const path of ['/predict', '/batch_predict']) {
        const answer = await post(host(), path, `${full} `);
        assertFailure(answer, 413, 'TOO_LARGE');
        assert.match(answer.json().error, /4096 bytes \(MAX_BODY_BYTES\)/);
      }
    });

    const ndjson = { 'content-type': 'application/x-ndjson' };
    const row = '{"features":[1,2,3,4]}';
    const lines = [row, row.padEnd(LIMIT), row.padEnd(LIMIT + 1), row].join('\n');
    if (kind !== 'functions') {
      test('a line above MAX_BODY_BYTES fails alone, and a stream above it does not', async () => {
        const [first, full, long, next, last] = linesOf(await post(host(), '/batch_predict', lines, ndjson));
        assert.deepEqual([first.error, full.error, next.error], [undefined, undefined, undefined]);
        assert.deepEqual([long.index, long.error.code], [2, 'TOO_LARGE']);
        assert.match(long.error.message, /4096 bytes/);
        assert.deepEqual(last, { done: true, ok: 3, failed: 1 });
      });
    } else {
      test('NDJSON above MAX_BODY_BYTES is refused, as the framework has buffered it', async () => {
        assertFailure(await post(host(), '/batch_predict', lines, ndjson), 413, 'TOO_LARGE');
      });
    }

    test('415 for a media type that a route does not read', async () => {
      const cases = [
        ['/predict', 'text/csv'],
        ['/predict', 'application/octet-stream'],
        ['/predict', 'application/x-ndjson'],
        ['/batch_predict', 'application/xml'],
      ];
      for (const [path, type] of cases) {
        const answer = await post(host(), path!, '{"features":[1,2,3,4]}', { 'content-type': type! });
        assertFailure(answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
        assert.match(answer.json().error, /application\/json/);
        assert.ok(answer.json().error.includes(type!));
      }
    });

    test('however long what was given, the error is short', async () => {
      const long = 'k'.repeat(900);
      const bodies = [
        { features: { [long]: 1 } },
        { features: [1, 2, 3, long] },
        { [long]: 1 },
        { features: [1, 2, 3, 4], [long]: 1 },
        Array(500).fill(1),
        Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`key${i}`, i])),
        { features: Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`key${i}`, i])) },
        { features: Array(500).fill(7) },
      ];
      for (const body of bodies) {
        const answer = await post(host(), '/predict', body);
        assertFailure(answer, 400, 'INVALID_INPUT');
        assert.ok(answer.text.length < 700, `${answer.text.length} characters: ${answer.text.slice(0, 200)}`);
      }
    });
  });
}
