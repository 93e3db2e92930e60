import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type RequestContext, sendJson } from '../../../functions/http/request-context.ts';
import type { Route } from '../../../functions/http/router.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { serveHttp } from '../../helpers/http-server.ts';

async function start(t: TestContext, secure = false) {
  const handled: string[] = [];
  const routes: Route[] = [
    { method: 'GET', path: '/smuggled', handle: (context) => answer(context, '/smuggled') },
    {
      method: 'POST',
      path: '/write',
      body: { kind: 'buffered', limit: 1_000_000 },
      handle: (context: RequestContext, body: Buffer) => answer(context, `/write ${body}`),
    },
  ];
  function answer(context: RequestContext, what: string): void {
    handled.push(what);
    sendJson(context, 200, JSON.stringify(context.req.headers));
  }
  const { cert, key } = makeCertificate('localhost');
  return { ...(await serveHttp(t, routes, secure ? { tls: { cert, key, authority: cert } } : {})), handled };
}

const POST = 'POST /write HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
/** What a server in front may take for a part of the first request. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

const AMBIGUOUS: [title: string, bytes: string][] = [
  ['both lengths', `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['both lengths, the other way round', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`],
  ['two different lengths', `${POST}Content-Length: 0\r\nContent-Length: 3\r\n\r\nabc`],
  ['two equal lengths', `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
  ['a list of lengths', `${POST}Content-Length: 3, 3\r\n\r\nabc`],
  ['a length with a sign', `${POST}Content-Length: +3\r\n\r\nabc`],
  ['a negative length', `${POST}Content-Length: -3\r\n\r\nabc`],
  ['a hexadecimal length', `${POST}Content-Length: 0x3\r\n\r\nabc`],
  ['a length with a blank in it', `${POST}Content-Length: 3 3\r\n\r\nabc`],
  ['a length with an underscore', `${POST}Content-Length: 1_0\r\n\r\nabc`],
  ['an empty length', `${POST}Content-Length: \r\n\r\nabc`],
  ['a length above 2^64', `${POST}Content-Length: 18446744073709551619\r\n\r\nabc`],
  ['a folded field', `${POST}Content-Length:\r\n 3\r\n\r\nabc`],
  ['a field that is folded in the middle', `${POST}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
  ['a folded coding', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
  ['a first field that begins with a blank', 'GET /smuggled HTTP/1.1\r\n Host: a\r\n\r\n'],
  ['lines that end with a line feed alone', 'GET /smuggled HTTP/1.1\nHost: a\n\n'],
  ['a field that ends with a line feed alone', 'GET /smuggled HTTP/1.1\r\nHost: a\nX: b\r\n\r\n'],
  ['a head that ends with a line feed alone', 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\n'],
  ['a carriage return in a field', `${POST}X: a\rContent-Length: 3\r\n\r\nabc`],
  ['lines that end with a carriage return alone', 'GET /smuggled HTTP/1.1\rHost: a\r\r'],
  ['a blank before the colon', `${POST}Content-Length : 3\r\n\r\nabc`],
  ['a blank before the colon of the coding', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ['a tab before the colon', `${POST}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n`],
  ['a field without a name', `${POST}: 3\r\n\r\n`],
  ['a NUL in a value', `${POST}X: a\0b\r\nContent-Length: 0\r\n\r\n`],
  ['a NUL in a name', `${POST}X\0: a\r\nContent-Length: 0\r\n\r\n`],
  ['a NUL in the target', 'GET /smuggled\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown coding', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['a quoted coding', `${POST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`],
  ['an empty coding', `${POST}Transfer-Encoding:\r\n\r\n0\r\n\r\n`],
  ['identity', `${POST}Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n`],
  ['chunked twice in a field', `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`],
  ['chunked in two fields', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  [
    'chunked and identity in two fields',
    `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
  ],
  ['a coding after chunked', `${POST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
  ['a coding before chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['chunked with a parameter', `${POST}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n`],
  ['chunked with a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
  ['chunked in HTTP/1.0', 'POST /write HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  [
    'chunked and a length in HTTP/1.0',
    'POST /write HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n',
  ],
  ['a chunk size above 2^64', `${CHUNKED}10000000000000003\r\nabc\r\n0\r\n\r\n`],
  ['a negative chunk size', `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`],
  ['a chunk size with a plus', `${CHUNKED}+3\r\nabc\r\n0\r\n\r\n`],
  ['a chunk size with 0x', `${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`],
  ['a chunk size with a blank before it', `${CHUNKED} 3\r\nabc\r\n0\r\n\r\n`],
  ['a chunk size with an underscore', `${CHUNKED}0_3\r\nabc\r\n0\r\n\r\n`],
  ['an empty chunk size', `${CHUNKED}\r\nabc\r\n0\r\n\r\n`],
  ['a chunk size that ends with a line feed alone', `${CHUNKED}3\nabc\r\n0\r\n\r\n`],
  ['a chunk that ends with a line feed alone', `${CHUNKED}3\r\nabc\n0\r\n\r\n`],
  ['a chunk that is longer than its size', `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`],
  ['a chunk extension with a line feed', `${CHUNKED}3;a\nabc\r\n0\r\n\r\n`],
  ['a chunk extension with a carriage return', `${CHUNKED}3;a\rb\r\nabc\r\n0\r\n\r\n`],
  ['a chunk extension of 20 KB', `${CHUNKED}3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`],
  ['a trailer of 20 KB', `${CHUNKED}0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['a trailer that is no field', `${CHUNKED}0\r\nnonsense\r\n\r\n`],
  ['a length in the trailer', `${CHUNKED}0\r\nContent-Length: 3\r\n\r\n`],
  ['HTTP/0.9', 'GET /smuggled\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['HTTP/3.0', 'GET /smuggled HTTP/3.0\r\nHost: a\r\n\r\n'],
  ['a version in lower case', 'GET /smuggled http/1.1\r\nHost: a\r\n\r\n'],
  ['two hosts', 'GET /smuggled HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  ['no host', 'GET /smuggled HTTP/1.1\r\n\r\n'],
];

for (const [title, bytes] of AMBIGUOUS) {
  test(`${title}: refused, the connection is closed, and nothing after it is read as a request`, async (t) => {
    for (const secure of [false, true]) {
      const { connect, handled } = await start(t, secure);
      const client = connect();
      client.send(bytes + SMUGGLED);
      const { status, headers, body } = await client.answer();
      assert.ok(status === 400 || status === 431 || status === 413, `${status} ${body}`);
      assert.deepEqual([headers.connection, typeof JSON.parse(body).code], ['close', 'string']);
      assert.equal(await client.closed, '');
      assert.deepEqual(handled, []);
    }
  });
}

test('what is allowed stays allowed: chunked in any case, chunk extensions, trailers, which become no headers, and HTTP/1.0', async (t) => {
  const { connect, handled } = await start(t);
  const client = connect();
  for (const bytes of [
    `${POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    `${POST}transfer-encoding:Chunked \r\n\r\n3;a=b;c="d"\r\nabc\r\n0\r\n\r\n`,
    `${CHUNKED}0003\r\nabc\r\n0\r\nX-Request-Id: trailer\r\nAuthorization: Bearer x\r\nHost: b\r\n\r\n`,
    `${POST}Content-Length: 03\r\n\r\nabc`,
    'POST /write HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc',
  ]) {
    client.send(bytes);
    const { status, headers, body } = await client.answer();
    assert.equal(status, 200, bytes);
    assert.notEqual(headers['x-request-id'], 'trailer');
    assert.equal(JSON.parse(body).authorization, undefined);
    assert.equal(handled.pop(), '/write abc');
  }
  client.destroy();
});

test('a head with more than 100 fields, or of more than 16 KiB, is refused with 431 in the error shape', async (t) => {
  const { connect, handled } = await start(t);
  const fields = (count: number): string => `GET /smuggled HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(count - 1)}\r\n`;
  for (const [bytes, status] of [
    [fields(100), 200],
    [fields(101), 431],
    [fields(2500), 431],
    [`GET /smuggled?${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
    [`GET /smuggled HTTP/1.1\r\nHost: a\r\n${'a'.repeat(20_000)}: b\r\n\r\n`, 431],
    [`POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n${'X: y\r\n'.repeat(100)}\r\nabc`, 431],
  ] as const) {
    handled.length = 0;
    const client = connect();
    client.send(bytes);
    const answer = await client.answer();
    assert.equal(answer.status, status, bytes.slice(0, 40));
    if (status === 431) {
      assert.deepEqual([answer.headers.connection, JSON.parse(answer.body).code], ['close', 'TOO_LARGE']);
      assert.equal(await client.closed, '');
      assert.deepEqual(handled, []);
    }
    client.destroy();
  }
});
