import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponseParser } from '../../../../functions/cli/loadtest/http/response-parser.ts';

const FIXED =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\r\nhello';
const CHUNKED =
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab\ncd\r\nA;x=1\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n';
const REFUSED = 'HTTP/1.1 503 Service Unavailable\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n';
const INTERIM = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n';

function read(wire: string, cuts: readonly number[]) {
  const responses: [status: number, close: boolean][] = [];
  let body = '';
  const parser = createResponseParser({
    onBody: (bytes, from, to) => {
      body += bytes.toString('latin1', from, to);
    },
    onResponse: (status, close) => responses.push([status, close]),
  });
  const edges = [0, ...cuts, wire.length];
  for (let i = 1; i < edges.length; i += 1) {
    // As a socket does: the piece lies inside a larger buffer with old bytes around it, and is used again.
    const piece = Buffer.from(`\n\n${wire.slice(edges[i - 1], edges[i])}\n0\r\n\r\n`, 'latin1');
    parser.push(piece, 2, piece.length - 6);
    piece.fill('!');
  }
  return { responses, body, partial: parser.partial() };
}

const WIRE = FIXED + CHUNKED + INTERIM + FIXED + REFUSED;
const WHOLE = {
  responses: [
    [200, false],
    [200, false],
    [204, false],
    [200, false],
    [503, true],
  ],
  body: 'helloab\ncd0123456789hello',
  partial: false,
};

test('fixed, chunked, interim and empty responses on one connection are distinguished', () => {
  assert.deepEqual(read(WIRE, []), WHOLE);
});

test('a response cut in two at any byte reads the same', () => {
  for (let cut = 1; cut < WIRE.length; cut += 1) assert.deepEqual(read(WIRE, [cut]), WHOLE, `cut at ${cut}`);
});

test('a response that comes byte by byte reads the same', () => {
  const cuts = Array.from({ length: WIRE.length - 1 }, (_, i) => i + 1);
  assert.deepEqual(read(WIRE, cuts), WHOLE);
});

test('a response that has begun and not ended is partial', () => {
  for (const end of [1, 20, FIXED.length - 1]) assert.equal(read(FIXED.slice(0, end), []).partial, true, `${end}`);
  assert.equal(read('', []).partial, false);
});

test('bytes that are no response with a length are an error', () => {
  for (const wire of [
    'SSH-2.0-OpenSSH\r\n',
    'HTTP/1.1 abc\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
  ]) {
    assert.throws(() => read(wire, []), Error, wire);
  }
});

test('a response has the seconds of its Retry-After, and the next one has none', () => {
  const seconds: number[] = [];
  const parser = createResponseParser({ onResponse: (_status, _close, retryAfter) => seconds.push(retryAfter) });
  const refused = 'HTTP/1.1 429 Too Many Requests\r\nretry-after: 12\r\ncontent-length: 0\r\n\r\n';
  const wire = Buffer.from(refused + FIXED);
  parser.push(wire, 0, wire.length);
  assert.deepEqual(seconds, [12, Number.NaN]);
});

test('a header line that does not end is refused, and not collected', () => {
  const parser = createResponseParser({ onResponse() {} });
  const piece = Buffer.alloc(65_536, 'a');
  parser.push(Buffer.from('HTTP/1.1 200 OK\r\nA: '), 0, 20);
  assert.throws(() => {
    for (let i = 0; i < 4; i++) parser.push(piece, 0, piece.length);
  }, /a header line of more than 65536 bytes/);
});
