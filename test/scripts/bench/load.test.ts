import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import { load } from '../../../scripts/bench/load.ts';
import { probe } from '../../../scripts/bench/probe.ts';

async function listen(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const request = requestBytes('POST', '/predict', '{"features":[1]}');
const bounded = { request, seconds: 30, warmupSeconds: 0 };

test('a bounded load sends exactly so many complete requests, over no more than the given connections', async (t) => {
  const bodies = new Map<string, number>();
  const sockets = new Set();
  const port = await listen(t, async (req, res) => {
    sockets.add(req.socket);
    const body = Buffer.concat(await req.toArray()).toString();
    bodies.set(body, (bodies.get(body) ?? 0) + 1);
    res.end('ok');
  });
  const result = await load({ ...bounded, port, connections: 4, requests: 500 });
  assert.deepEqual([...bodies], [['{"features":[1]}', 500]]);
  assert.equal(sockets.size, 4);
  assert.deepEqual([result.requests, result.errors, result.statuses], [500, 0, { 200: 500 }]);
});

test('several requests are sent in turn, over all connections', async (t) => {
  const bodies = new Map<string, number>();
  const port = await listen(t, async (req, res) => {
    const body = Buffer.concat(await req.toArray()).toString();
    bodies.set(body, (bodies.get(body) ?? 0) + 1);
    res.end('ok');
  });
  const several = ['1', '2', '3'].map((body) => requestBytes('POST', '/embed', body));
  await load({ ...bounded, request: several, port, connections: 2, requests: 30 });
  assert.deepEqual(Object.fromEntries(bodies), { 1: 10, 2: 10, 3: 10 });
});

test('responses that are not 2xx are counted by status and not part of the rate', async (t) => {
  let count = 0;
  const port = await listen(t, (req, res) => {
    req.resume();
    count += 1;
    res.writeHead(count % 2 === 0 ? 503 : 200).end();
  });
  const result = await load({ ...bounded, port, connections: 1, requests: 100 });
  assert.deepEqual(result.statuses, { 200: 50, 503: 50 });
  assert.equal(Math.round(result.rate * result.seconds), 50);
});

test('a connection that ends before a response is an error, and the load continues', async (t) => {
  let count = 0;
  const port = await listen(t, (req, res) => {
    req.resume();
    count += 1;
    if (count % 10 === 0) req.socket.destroy();
    else res.end('ok');
  });
  const result = await load({ ...bounded, port, connections: 2, requests: 90 });
  assert.equal(result.requests, 90);
  assert.ok(result.errors === 9 || result.errors === 10, `${result.errors} errors`);
});

test('a server that closes after each response, and announces it, is no error', async (t) => {
  const port = await listen(t, (req, res) => {
    req.resume();
    res.setHeader('connection', 'close').end('ok');
  });
  const result = await load({ ...bounded, port, connections: 3, requests: 30 });
  assert.deepEqual([result.requests, result.errors], [30, 0]);
});

test('a load ends in its time without any response', async (t) => {
  const port = await listen(t, () => {});
  const result = await load({ ...bounded, port, connections: 2, requests: 0, seconds: 0.1 });
  assert.deepEqual([result.requests, result.rate, result.p99], [0, 0, 0]);
});

test('a slow response does not delay later probes', async (t) => {
  const held: (() => void)[] = [];
  const port = await listen(t, (_req, res) => {
    held.push(() => res.end('ok'));
    if (held.length === 10) for (const answer of held) answer();
  });
  const result = await probe({ port, request: requestBytes('GET', '/health'), seconds: 0.1, perSecond: 100 });
  assert.deepEqual([result.requests, result.errors], [10, 0]);
});
