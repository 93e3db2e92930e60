import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { type RequestContext, sendBytes, sendJson } from '../../../functions/http/request-context.ts';
import type { Route } from '../../../functions/http/router.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { serveHttp } from '../../helpers/http-server.ts';
import { postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

/** More than the kernel takes for a client that does not read. */
const LARGE = Buffer.alloc(32 * 2 ** 20);
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

async function start(t: TestContext, secure: boolean, maxBodyBytes?: number) {
  const held: RequestContext[] = [];
  const routes: Route[] = [
    { method: 'GET', path: '/read', handle: (context) => sendJson(context, 200, '{"read":true}') },
    { method: 'GET', path: '/held', handle: (context) => hold(context) },
    {
      method: 'GET',
      path: '/large',
      handle: (context) => sendBytes(context, 200, ['Content-Type', 'x/y'], [LARGE]),
    },
    {
      method: 'POST',
      path: '/write',
      body: { kind: 'buffered', limit: 1_000_000 },
      handle: (context: RequestContext, body: Buffer) => sendJson(context, 200, String(body.length)),
    },
  ];
  /** Responds when the test says so. */
  function hold(context: RequestContext): Promise<void> {
    held.push(context);
    return new Promise((resolve) => context.res.once('close', resolve));
  }
  const certificate = makeCertificate('localhost');
  const tls = { cert: certificate.cert, key: certificate.key, authority: certificate.cert };
  const rig = await serveHttp(t, routes, { ...(secure && { tls }), ...(maxBodyBytes && { maxBodyBytes }) });
  return { ...rig, held };
}

for (const secure of [false, true]) {
  const over = secure ? 'over TLS' : 'without TLS';

  test(`${over}: pipelined requests get their responses in order, the bodies whole`, async (t) => {
    const { connect } = await start(t, secure);
    const client = connect();
    const sizes = [0, 5, 70_000, 1, 500_000, 3];
    client.send(sizes.map((size) => postText('/write', 'x'.repeat(size))).join(''));
    for (const size of sizes) assert.equal((await client.answer()).body, String(size));
    client.destroy();
  });

  test(`${over}: a client that ends its side after its requests gets all responses`, async (t) => {
    const { connect, held } = await start(t, secure);
    const client = connect();
    client.socket.end(get('/read') + get('/held'));
    const context = await until(() => held[0], 'the second');
    // Interim responses test whether the client still waits.
    await client.text('102 Processing');
    sendJson(context, 200, '{"held":true}');
    assert.match(await client.closed, /\{"held":true\}$/);
  });

  test(`${over}: a client that closes its connection cancels its request`, async (t) => {
    const { connect, held } = await start(t, secure);
    const client = connect();
    client.send(get('/held'));
    const { res, cancellation } = await until(() => held[0], 'the request');
    client.destroy();
    await once(res, 'close');
    assert.equal(cancellation.left, true);
  });

  test(`${over}: what is no HTTP gets 400 in the error shape after the response before it, and the connection is closed`, async (t) => {
    const { connect, closedFor } = await start(t, secure);
    const client = connect();
    client.send(`${get('/read')}nonsense\r\n\r\n`);
    assert.equal((await client.answer()).status, 200);
    const { status, headers, body } = await client.answer();
    assert.deepEqual([status, headers.connection, JSON.parse(body).code], [400, 'close', 'INVALID_INPUT']);
    assert.equal(await client.closed, '');
    assert.equal(await closedFor('bad_request'), 1);
  });

  test(`${over}: Expect: 100-continue is met within the limit, and a larger body is refused before it is sent`, async (t) => {
    const { connect } = await start(t, secure);
    const [small, large] = [connect(), connect()];
    small.send(postText('/write', '', { expect: '100-continue', 'content-length': '3' }));
    await small.text('HTTP/1.1 100 Continue\r\n\r\n');
    small.send('abc');
    assert.equal((await small.answer()).body, '3');
    large.send(postText('/write', '', { expect: '100-continue', 'content-length': '1000001' }));
    assert.equal((await large.answer()).status, 413);
    for (const client of [small, large]) client.destroy();
  });

  test(`${over}: a drain waits for a request in flight, closes its connection after the response, and cuts off a client that reads nothing`, async (t) => {
    const { connect, held, http, closedFor } = await start(t, secure);
    const [client, deaf] = [connect(), connect()];
    client.send(get('/held'));
    deaf.send(get('/large'));
    await deaf.text('200 OK');
    deaf.socket.pause();
    const context = await until(() => held[0], 'the request');
    assert.equal(http.inFlight(), 2);
    const drained = http.drain(60_000);
    await until(async () => (await closedFor('response_not_read')) === 1, 'the end of the deaf one');
    sendJson(context, 200, '{}');
    assert.equal((await client.answer()).headers.connection, 'close');
    assert.equal(await client.closed, '');
    assert.equal(await drained, true);
    deaf.destroy();
  });

  test(`${over}: requests that are in flight at the end of a drain are reported, and close() ends their connections`, async (t) => {
    const { connect, held, http } = await start(t, secure);
    const client = connect();
    client.send(get('/held'));
    await until(() => held[0], 'the request');
    assert.equal(await http.drain(20), false);
    http.close();
    assert.equal(await client.closed, '');
  });
}
