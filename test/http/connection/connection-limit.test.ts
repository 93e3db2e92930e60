import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { possibleConnections } from '../../../functions/http/connection/connection-limit.ts';
import { type RequestContext, sendJson } from '../../../functions/http/request-context.ts';
import type { Route } from '../../../functions/http/router.ts';
import { makeCertificate } from '../../helpers/certificate.ts';
import { serveHttp } from '../../helpers/http-server.ts';
import type { RawConnection } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

async function start(t: TestContext, maxConnections: number, secure: boolean) {
  const held: RequestContext[] = [];
  const routes: Route[] = [
    { method: 'GET', path: '/read', handle: (context) => sendJson(context, 200, '{}') },
    {
      method: 'GET',
      path: '/held',
      handle(context) {
        held.push(context);
        return new Promise((resolve) => context.res.once('close', resolve));
      },
    },
  ];
  const { cert, key } = makeCertificate('localhost');
  const rig = await serveHttp(t, routes, { maxConnections, ...(secure && { tls: { cert, key, authority: cert } }) });
  const open: RawConnection[] = [];
  t.after(() => {
    for (const client of open) client.destroy();
  });
  /** A connection that the server has accepted. */
  async function accepted(): Promise<RawConnection> {
    const client = rig.connect();
    open.push(client);
    await once(rig.http.server, secure ? 'secureConnection' : 'connection');
    return client;
  }
  return { ...rig, held, accepted };
}

for (const secure of [false, true]) {
  const over = secure ? 'over TLS' : 'without TLS';

  test(`${over}: at the limit the newest connection without a request in flight is closed for a new one`, async (t) => {
    const { accepted, held, closedFor, lines } = await start(t, 4, secure);
    const [used, busy, half, silent] = [await accepted(), await accepted(), await accepted(), await accepted()];
    used!.send(get('/read'));
    assert.equal((await used!.answer()).status, 200);
    busy!.send(get('/held'));
    await until(() => held[0], 'the request');
    half!.send('GET /read HT');
    const first = await accepted();
    assert.equal(await silent!.closed, '', 'the newest of those without a request');
    first.send(get('/held'));
    await until(() => held[1], 'the second request');
    const second = await accepted();
    assert.equal(await half!.closed, '', 'half a head is no request');
    second.send(get('/held'));
    await until(() => held[2], 'the third request');
    const third = await accepted();
    assert.equal(await used!.closed, '', 'one between two requests');
    third.send(get('/held'));
    await until(() => held[3], 'the fourth request');
    for (const context of held) sendJson(context, 200, '{}');
    for (const client of [busy!, first, second, third]) assert.equal((await client.answer()).status, 200);
    assert.equal(await closedFor('too_many_connections'), 3);
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [['warning', '4 connections are open, the limit: the newest without a request in flight are closed']],
    );
  });

  test(`${over}: a connection with a request in flight is never closed: a new one is refused instead, until one ends`, async (t) => {
    const { accepted, connect, held, closedFor } = await start(t, 2, secure);
    const clients = [await accepted(), await accepted()];
    for (const client of clients) client.send(get('/held'));
    await until(() => held.length === 2, 'the requests');
    for (let i = 0; i < 3; i++) assert.equal(await connect().closed, '');
    assert.equal(await closedFor('too_many_connections'), 3);
    for (const context of held) sendJson(context, 200, '{}');
    for (const client of clients) assert.equal((await client.answer()).status, 200);
    const next = await accepted();
    next.send(get('/read'));
    assert.equal((await next.answer()).status, 200);
  });

  test(`${over}: connections that have ended do not count`, async (t) => {
    const { accepted, closedFor } = await start(t, 1, secure);
    for (let i = 0; i < 20; i++) {
      const client = await accepted();
      client.send(`GET /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      assert.equal((await client.answer()).status, 200);
      await client.closed;
      await new Promise(setImmediate);
    }
    assert.ok((await closedFor('too_many_connections')) <= 1);
  });
}

test('the limit follows from the file descriptors, of which some are left over, and from the memory', () => {
  const limits = (soft: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units     \nMax open files            ${soft.padEnd(21)}1048576              files     \n`;
  const GIB = 2 ** 30;
  assert.equal(possibleConnections(limits('1024'), 8 * GIB), 736);
  assert.equal(possibleConnections(limits('1048576'), GIB / 2), 2048);
  assert.equal(possibleConnections(limits('unlimited'), GIB / 2), 2048);
  assert.equal(possibleConnections('', 2 * GIB), 8192);
  assert.equal(possibleConnections(limits('70'), GIB), 20);
  assert.ok(possibleConnections() >= 16);
});
