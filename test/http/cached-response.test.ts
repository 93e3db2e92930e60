import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { type CachedResponse, cachePacked, cacheText, sendCached } from '../../functions/http/cached-response.ts';
import { connect } from '../helpers/raw-http.ts';
import { serveRoutes } from '../helpers/serve.ts';

const TEXT = 'æ'.repeat(1000);
const packed = cachePacked('text/css', gzipSync(TEXT), brotliCompressSync(TEXT));
const text = cacheText('text/plain', TEXT);

test('the first coding that the client accepts is sent, and the plain content to a client that accepts none', async (t) => {
  const { url } = await serveRoutes(t, (context) => sendCached(context, packed, ['br', 'gzip']));
  const codings: [accepted: string, coding: string | null][] = [
    ['gzip, deflate, br', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, GZIP;q=0.5', 'gzip'],
    ['br;q=0.0,gzip;q=0', null],
    ['identity', null],
    ['zstd', null],
    ['brotli, xgzip', null],
  ];
  for (const [accepted, coding] of codings) {
    const response = await fetch(`${url}/read`, { headers: { 'accept-encoding': accepted } });
    assert.equal(response.headers.get('content-encoding'), coding, accepted);
    assert.equal(await response.text(), TEXT);
    assert.equal(response.headers.get('vary'), 'Accept-Encoding');
  }
});

for (const [name, answer] of [
  ['compressed ahead', packed],
  ['made here', text],
] as const satisfies [string, CachedResponse][]) {
  test(`what is ${name} has an entity tag for each coding, and is not sent again to a client that has it`, async (t) => {
    const { url } = await serveRoutes(t, (context) => sendCached(context, answer, ['gzip']));
    const ask = (headers: Record<string, string>) => fetch(`${url}/read`, { headers });
    const [plain, gzipped] = [await ask({ 'accept-encoding': 'identity' }), await ask({ 'accept-encoding': 'gzip' })];
    const [tag, other] = [plain.headers.get('etag')!, gzipped.headers.get('etag')!];
    assert.notEqual(tag, other);
    for (const [given, status] of [
      [tag, 304],
      [`W/${tag}`, 304],
      [`"x", ${tag}`, 304],
      ['*', 304],
      [other, 200],
      ['"x"', 200],
    ] as const) {
      const response = await ask({ 'accept-encoding': 'identity', 'if-none-match': given });
      assert.equal(response.status, status, given);
      assert.equal(response.headers.get('etag'), tag);
      assert.equal(response.headers.get('cache-control'), 'no-cache');
    }
  });
}

test('different contents have different entity tags', () => {
  assert.notEqual(cacheText('text/plain', 'a').hash, cacheText('text/plain', 'b').hash);
});

test('the response to HEAD has no body', async (t) => {
  const { url, port } = await serveRoutes(t, (context) => sendCached(context, text, ['gzip'], "default-src 'self'"));
  const connection = connect({ port, url } as never);
  connection.send('HEAD /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const answer = await connection.closed;
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /\r\nContent-Length: 2000\r\n/);
  assert.match(answer, /\r\nContent-Security-Policy: default-src 'self'\r\n/);
  assert.ok(answer.endsWith('\r\n\r\n'));
});
