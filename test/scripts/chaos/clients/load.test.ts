import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { requestBytes } from '../../../../functions/cli/loadtest/http/request.ts';
import { createClient } from '../../../../scripts/chaos/clients/client.ts';
import { closedLoop, type MakeWork, openLoop } from '../../../../scripts/chaos/clients/load.ts';
import { gapMs } from '../../../../scripts/chaos/figures.ts';
import { createRandom } from '../../../../scripts/fuzz/random.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: TestContext, handler: Handler): Promise<number> {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** Work whose response has to be the path of the request. */
const echo: MakeWork = (number) => ({
  request: requestBytes('GET', `/${number}`),
  isRight: (text) => text === `/${number}`,
});

/** Resolves when `handler` was called so many times. */
function after(count: number, handler: Handler): { handler: Handler; reached: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  return {
    reached: promise,
    handler(request, response) {
      handler(request, response);
      if (++calls === count) resolve();
    },
  };
}

test('a response with other values than those of its request is wrong', async (t) => {
  const { handler, reached } = after(8, ({ url }, response) => response.end(url === '/3' ? '/4' : url));
  const load = closedLoop({ port: await serve(t, handler), connections: 2, make: echo });
  await reached;
  const samples = await load.stop();
  assert.equal(samples.filter(({ isRight }) => !isRight).length, 1);
  assert.ok(samples.every(({ status }) => status === 200));
});

test('a refusal has its Retry-After, and a response that is cut off has status 0', async (t) => {
  const port = await serve(t, ({ url }, response) => {
    if (url === '/0') response.writeHead(429, { 'Retry-After': '7', 'Content-Length': 0 }).end();
    else response.destroy();
  });
  const client = createClient(port);
  t.after(() => client.destroy());
  assert.deepEqual(await client.send(echo(0).request), { status: 429, retryAfter: 7, text: '' });
  assert.equal((await client.send(echo(1).request)).status, 0);
});

test('an open loop sends further requests while none is answered, and clients that leave have left', async (t) => {
  const { handler, reached } = after(5, () => {});
  const port = await serve(t, handler);
  const load = openLoop({ port, perSecond: 1000, random: createRandom(1), make: echo, leaveAfterMs: 1 });
  await reached;
  const samples = await load.stop();
  assert.ok(samples.length >= 5);
  assert.ok(samples.every(({ hasLeft, status }) => hasLeft && status === 0));
});

test('the latency of an open loop counts from the time at which the request was due', async (t) => {
  const { handler, reached } = after(3, ({ url }, response) => response.end(url));
  const load = openLoop({ port: await serve(t, handler), perSecond: 1000, random: createRandom(1), make: echo });
  await reached;
  const samples = await load.stop();
  // Due times are those of the seed, however late this machine sends.
  const again = createRandom(1);
  const first = gapMs(1000, again.int(2 ** 30) / 2 ** 30);
  assert.ok(samples.some(({ at }) => at === first));
  assert.ok(samples.every(({ ms }) => ms > 0));
});
