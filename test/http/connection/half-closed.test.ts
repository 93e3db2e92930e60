import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { watchHalfClosed } from '../../../functions/http/connection/half-closed.ts';
import { connect, postText } from '../../helpers/raw-http.ts';

/** A server that answers nothing by itself. */
async function start(t: TestContext) {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  const server = createServer((_, res) => resolve(res));
  Object.assign(server, { httpAllowHalfOpen: true });
  const ended = Promise.withResolvers<void>();
  server.on('connection', (socket) =>
    socket.once('end', async () => {
      const res = await promise;
      watchHalfClosed(socket, () => res);
      ended.resolve();
    }),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, response: promise, ended: ended.promise };
}

test('a client that has closed its connection is detected before its response begins', async (t) => {
  const { port, response, ended } = await start(t);
  const client = connect({ port });
  client.send(postText('/', 'x'));
  const res = await response;
  client.destroy();
  await ended;
  await once(res, 'close');
  assert.deepEqual([res.destroyed, res.writableEnded], [true, false]);
});

test('a client that has ended its side alone gets interim responses, and then its response', async (t) => {
  const { port, response, ended } = await start(t);
  const client = connect({ port });
  client.socket.end(postText('/', 'x'));
  const res = await response;
  await ended;
  const interim = 'HTTP/1.1 102 Processing\r\n\r\n';
  for (let i = 0; i < 3; i++) assert.equal(await client.text(interim), interim);
  res.end('late');
  assert.match(await client.closed, /^HTTP\/1\.1 200 OK\r\n.*late$/s);
});

test('interim responses come after ever longer times, and to no client of HTTP/1.0', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  for (const [httpVersion, times] of [
    ['1.1', [50, 150, 350, 750, 1550, 3150, 6350]],
    ['1.0', []],
  ] as const) {
    let now = 0;
    const sent: number[] = [];
    const res = { socket: {}, req: { httpVersion }, writeProcessing: () => sent.push(now) };
    watchHalfClosed({ destroyed: false } as never, () => res as never);
    for (; now < 10_000; now += 50) {
      if (now > 0) t.mock.timers.tick(50);
    }
    assert.deepEqual(sent, times, httpVersion);
  }
});
