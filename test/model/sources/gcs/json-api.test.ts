import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createGcsSource } from '../../../../functions/model/sources/gcs/gcs.ts';
import { createJsonApi, type JsonApi, type Service } from '../../../../functions/model/sources/gcs/json-api.ts';
import { serve } from '../../../helpers/serve.ts';
import { rejectsWith } from '../contract.ts';
import { NEVER } from '../gcs-kit.ts';

const REQUEST = {
  attempted: { action: 'list', place: 'gs://models', bucket: 'models' },
  path: '/b/models/o',
  query: { prefix: 'a b/&' },
} as const;

function open(t: TestContext, service: Service, stallMs = 10_000): JsonApi {
  const api = createJsonApi(async () => service, stallMs);
  t.after(() => api.close());
  return api;
}

async function getText(api: JsonApi, signal = NEVER): Promise<string> {
  let text = '';
  await api.get(REQUEST, signal, () => (chunk) => {
    text += Buffer.from(chunk).toString();
    return true;
  });
  return text;
}

test("sends the client's credentials for the URL, and uses a connection again, also after an error status", async (t) => {
  const seen: IncomingMessage[] = [];
  const { url } = await serve(t, (req, res) => {
    res.statusCode = seen.push(req) === 1 ? 503 : 200;
    res.end('listed');
  });
  const asked: string[] = [];
  const api = open(t, {
    baseUrl: `${url}/storage/v1/`,
    authorize: async (url) => {
      asked.push(url);
      return new Headers({ authorization: 'Bearer token', 'x-goog-user-project': 'payer' });
    },
  });
  await rejectsWith(getText(api), 'transient', /503 listed/);
  assert.equal(await getText(api), 'listed');
  const path = '/storage/v1/b/models/o?prefix=a+b%2F%26';
  assert.deepEqual(asked, [url + path, url + path]);
  const [first, second] = seen as [IncomingMessage, IncomingMessage];
  assert.deepEqual(
    [first.url, first.headers.authorization, first.headers['x-goog-user-project']],
    [path, 'Bearer token', 'payer'],
  );
  assert.equal(first.socket, second.socket);
});

test('without credentials requests public objects, and passes on any other fault of the credentials', async (t) => {
  const { url } = await serve(t, (req, res) => void res.end(String(req.headers.authorization)));
  const fail = (message: string): Service => ({ baseUrl: url, authorize: () => Promise.reject(new Error(message)) });
  const none = open(t, fail('Could not load the default credentials. Browse to https://cloud.google.com for more.'));
  assert.equal(await getText(none), 'undefined');
  await rejectsWith(getText(open(t, fail('invalid_grant'))), 'refused', /credentials give no access token/);
});

for (const way of ['a stall', 'an abort', 'closing'] as const) {
  test(`${way} ends a request that waits for its credentials, and it is never sent`, async (t) => {
    let requests = 0;
    const { url } = await serve(t, (_req, res) => {
      requests += 1;
      res.end();
    });
    const { promise: credentials, resolve: give } = Promise.withResolvers<Headers>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const authorize = () => {
      ask();
      return credentials;
    };
    const api = open(t, { baseUrl: url, authorize }, way === 'a stall' ? 20 : 10_000);
    const stop = new AbortController();
    const reason = new Error('enough');
    const failed = getText(api, stop.signal).catch((error: unknown) => error);
    await asked;
    if (way === 'an abort') stop.abort(reason);
    if (way === 'closing') api.close();
    const error = (await failed) as Error;
    if (way === 'a stall') assert.equal(error.message, 'gs://models: no byte for 0.02 s');
    if (way === 'an abort') assert.equal(error, reason);
    if (way === 'closing') assert.equal(error.message, 'gs://models: the source was closed');
    give(new Headers());
    await getText(open(t, { baseUrl: url, authorize }));
    assert.equal(requests, 1);
  });
}

test('delivers nothing more when the receiver has thrown or has enough, or the request is aborted', async (t) => {
  const { url } = await serve(t, (_req, res) => {
    res.socket!.cork();
    for (const piece of ['one', 'two', 'three']) res.write(piece);
    res.end();
    res.socket!.uncork();
  });
  const api = open(t, { baseUrl: url, authorize: async () => new Headers() });
  const full = new Error('the disk is full');
  const reason = new Error('enough');
  for (const way of ['throws', 'has enough', 'is aborted'] as const) {
    const stop = new AbortController();
    const taken: string[] = [];
    const reading = api.get(REQUEST, stop.signal, () => (chunk) => {
      taken.push(Buffer.from(chunk).toString());
      if (way === 'throws') throw full;
      if (way === 'is aborted') stop.abort(reason);
      return way === 'is aborted';
    });
    if (way === 'has enough') await reading;
    else await assert.rejects(reading, way === 'throws' ? full : reason);
    assert.deepEqual(taken, ['one']);
  }
});

test('frees the memory of a chunk when the receiver returns', async (t) => {
  const { url } = await serve(t, (_req, res) => void res.end(Buffer.alloc(2 ** 20)));
  const api = open(t, { baseUrl: url, authorize: async () => new Headers() });
  const chunks: Uint8Array[] = [];
  let received = 0;
  await api.get(REQUEST, NEVER, () => (chunk) => {
    chunks.push(chunk);
    received += chunk.length;
    return true;
  });
  assert.equal(received, 2 ** 20);
  assert.ok(chunks.every(({ length }) => length === 0));
});

test('uses the proxy of the environment, but not for the hosts that it excludes', async (t) => {
  const proxy = createServer();
  const tunnels: string[] = [];
  proxy.on('connect', (req, socket) => {
    tunnels.push(req.url!);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  t.after(() => proxy.close());
  const names = ['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'];
  const before = names.map((name) => process.env[name]);
  t.after(() => {
    for (const [at, name] of names.entries()) {
      if (before[at] === undefined) delete process.env[name];
      else process.env[name] = before[at];
    }
  });
  for (const name of names) delete process.env[name];
  process.env.HTTPS_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  process.env.NO_PROXY = '127.0.0.1';
  const far = createGcsSource('gs://models', { endpoint: 'https://storage.example' });
  t.after(() => far.close());
  await rejectsWith(far.list(NEVER), 'transient', /^gs:\/\/models: /);
  assert.deepEqual(tunnels, ['storage.example:443']);
  const near = createGcsSource('gs://models', { endpoint: 'https://127.0.0.1:1' });
  t.after(() => near.close());
  await rejectsWith(near.list(NEVER), 'transient', /ECONNREFUSED/);
  assert.equal(tunnels.length, 1);
});
