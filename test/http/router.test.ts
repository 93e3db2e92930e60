import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { BodyBudget } from '../../functions/http/body/body-budget.ts';
import { type RequestContext, sendJson } from '../../functions/http/request-context.ts';
import { createRouter } from '../../functions/http/router.ts';
import { connect } from '../helpers/raw-http.ts';
import { answerQuery, serveRoutes } from '../helpers/serve.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { until } from '../helpers/until.ts';

const never = (): Promise<void> => new Promise(() => {});
const bodyOf = async (response: Response) => (await response.json()) as Record<string, unknown>;

test('a request is passed to the route of its path and method; the query is not part of the path', async (t) => {
  const { url } = await serveRoutes(t);
  const read = await fetch(`${url}/read?a=1&b=%20`);
  assert.deepEqual([read.status, await read.json()], [200, { query: 'a=1&b=%20' }]);
  assert.equal((await fetch(`${url}/write`, { method: 'POST' })).status, 200);
});

test('what is not there is 404, in the one error shape', async (t) => {
  const { url } = await serveRoutes(t);
  for (const path of ['/', '/rea', '/read/', '/READ', '/%72ead', '/nothing?x=/read']) {
    const response = await fetch(url + path);
    assert.deepEqual([response.status, (await bodyOf(response)).code], [404, 'NOT_FOUND'], path);
  }
});

test('another method is 405, with those that are taken', async (t) => {
  const { url } = await serveRoutes(t);
  for (const [path, method, allow] of [
    ['/read', 'POST', 'GET, HEAD'],
    ['/write', 'GET', 'POST'],
    ['/write', 'HEAD', 'POST'],
    ['/read', 'OPTIONS', 'GET, HEAD'],
  ] as const) {
    const response = await fetch(url + path, { method });
    assert.deepEqual([response.status, response.headers.get('allow')], [405, allow], `${method} ${path}`);
  }
});

test('HEAD is answered as GET is, without the body', async (t) => {
  const { url } = await serveRoutes(t);
  const [head, get] = [await fetch(`${url}/read`, { method: 'HEAD' }), await fetch(`${url}/read`)];
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.equal(head.headers.get('content-length'), get.headers.get('content-length'));
});

test("a request keeps the caller's id if it is valid, else a new id is generated", async (t) => {
  const { url } = await serveRoutes(t);
  const idOf = async (id?: string): Promise<string> =>
    (await fetch(`${url}/read`, { headers: id === undefined ? {} : { 'x-request-id': id } })).headers.get(
      'x-request-id',
    )!;
  for (const id of ['a', 'A-1_b.c:d', 'x'.repeat(128)]) assert.equal(await idOf(id), id);
  const made = [await idOf(), await idOf('a b'), await idOf('x'.repeat(129)), await idOf('<script>'), await idOf('"')];
  assert.equal(new Set(made).size, made.length);
  for (const id of made) assert.match(id, /^[0-9a-f]{10}-[0-9a-z]+$/);
  const refused = await fetch(`${url}/nothing`, { headers: { 'x-request-id': 'mine' } });
  assert.equal((await bodyOf(refused)).request_id, 'mine');
});

test('an error of a route is sent unchanged; a bug is 500, and only the log has its text', async (t) => {
  let error: Error = new ServingError('INVALID_INPUT', 'features: no', { path: 'features' });
  const { url, requests } = await serveRoutes(t, () => Promise.reject(error));
  const bad = await fetch(`${url}/read`);
  assert.deepEqual([bad.status, (await bodyOf(bad)).path], [400, 'features']);
  error = new TypeError('secret');
  const bug = await fetch(`${url}/read`);
  const text = await bug.text();
  assert.equal(bug.status, 500);
  assert.doesNotMatch(text, /secret/);
  assert.deepEqual(
    requests.map(({ status, code }) => [status, code]),
    [
      [400, 'INVALID_INPUT'],
      [500, 'INTERNAL'],
    ],
  );
  assert.equal((requests[1]!.error as ServingError).cause, error);
});

test('an error that is thrown at once is answered, too', async (t) => {
  const { url } = await serveRoutes(t, () => {
    throw new ServingError('UNSUPPORTED', 'no');
  });
  assert.equal((await fetch(`${url}/read`)).status, 501);
});

test('a request without a response in time gets 504, and its handler is cancelled', async (t) => {
  let given: RequestContext | undefined;
  const { url, requests } = await serveRoutes(
    t,
    (context) => {
      given = context;
      return never();
    },
    { requestTimeoutMs: 50 },
  );
  const late = await fetch(`${url}/read`);
  assert.deepEqual([late.status, (await bodyOf(late)).code], [504, 'DEADLINE']);
  assert.equal(given!.cancellation.cancelled, true);
  assert.deepEqual(
    requests.map(({ status, code }) => [status, code]),
    [[504, 'DEADLINE']],
  );
});

test('a response after the deadline is dropped, and counted once', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { url, requests, metrics } = await serveRoutes(
    t,
    async (context) => {
      await promise;
      if (!context.cancellation.cancelled) sendJson(context, 200, '{}');
    },
    { requestTimeoutMs: 50, logRequests: 'all' },
  );
  assert.equal((await fetch(`${url}/read`)).status, 504);
  resolve();
  assert.equal((await fetch(`${url}/read`)).status, 200);
  assert.deepEqual(
    requests.map(({ status }) => status),
    [504, 200],
  );
  assert.match((await metrics.render()).text, /requests_rejected_total\{reason="deadline"\} 1/);
});

test('a route that fails after the deadline is answered and counted no more', async (t) => {
  const { promise, reject } = Promise.withResolvers<void>();
  const { url, requests } = await serveRoutes(t, () => promise, { requestTimeoutMs: 50 });
  assert.equal((await fetch(`${url}/read`)).status, 504);
  reject(new Error('too late'));
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
  assert.deepEqual(
    requests.map(({ status }) => status),
    [504, 404],
  );
});

test('a body that does not arrive in time is 408: the client is slow, not the server', async (t) => {
  const { port } = await serveRoutes(t, never, { requestTimeoutMs: 50 });
  const client = connect({ port });
  client.send('POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
  const { status, body } = await client.answer();
  assert.deepEqual([status, JSON.parse(body).code], [408, 'REQUEST_TIMEOUT']);
  client.destroy();
});

test('a route that streams has no deadline here', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { url } = await serveRoutes(
    t,
    (context) => promise.then(() => answerQuery(context)),
    { requestTimeoutMs: 20 },
    { body: { kind: 'streamed', limit: 0, bufferedTypes: ['application/json'], streamTypes: [] } },
  );
  const read = await fetch(`${url}/read`);
  assert.equal(read.status, 504);
  const written = fetch(`${url}/write`, { method: 'POST' });
  setTimeout(resolve, 60);
  assert.equal((await written).status, 200);
});

const BUFFERED = { kind: 'buffered', limit: 1_000_000 } as const;

test('a route gets the body that it declares once it is complete, and a route that declares none gets none', async (t) => {
  const given: unknown[] = [];
  const handle = (context: RequestContext, ...more: unknown[]): void => {
    given.push(...more.map(String));
    answerQuery(context);
  };
  const { url, port } = await serveRoutes(t, handle, {}, { body: BUFFERED });
  const client = connect({ port });
  client.send('POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello');
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  assert.deepEqual(given, []);
  client.send('world');
  assert.equal((await client.answer()).status, 200);
  await fetch(`${url}/read`);
  assert.deepEqual(given, ['helloworld', 'undefined']);
  client.destroy();
});

test('the memory of a large body is freed once its response is complete, and not after an error', async (t) => {
  const bodies: Buffer[] = [];
  let fails = false;
  let freed = 0;
  const handle = (async (context: RequestContext, body: Buffer): Promise<void> => {
    bodies.push(body);
    context.freeResult = () => {
      freed++;
    };
    if (fails) throw new Error('its rows may be in a run');
    sendJson(context, 200, String(body.length));
  }) as never;
  const { url } = await serveRoutes(t, handle, {}, { body: { kind: 'buffered', limit: 1_000_000 } });
  for (const size of [500_000, 10, 500_000]) {
    fails = bodies.length === 2;
    await (await fetch(`${url}/write`, { method: 'POST', body: Buffer.alloc(size) })).text();
  }
  await until(() => bodies[0]!.length === 0, 'the first to be freed');
  assert.deepEqual(
    bodies.map(({ length }) => length),
    [0, 10, 500_000],
  );
  assert.equal(freed, 2);
});

test('a body that comes while its request is authorized is complete, whatever its size', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const bodies: Buffer[] = [];
  const handle = (context: RequestContext, body?: Buffer): void => {
    bodies.push(Buffer.from(body!));
    answerQuery(context);
  };
  const { url } = await serveRoutes(t, handle, { authorize: () => promise }, { body: BUFFERED });
  const sent = [1, 1000, 500_000].map((size) => Buffer.from(Array.from({ length: size }, (_, i) => i % 251)));
  const answers = sent.map((body) => fetch(`${url}/write`, { method: 'POST', body }));
  setTimeout(resolve, 50);
  for (const answer of answers) assert.equal((await answer).status, 200);
  for (const body of bodies) assert.ok(sent.some((one) => one.equals(body)));
  assert.equal(bodies.length, sent.length);
});

test('who is not authorized is refused with nothing of the body read, and no handler called', async (t) => {
  const asked: (boolean | undefined)[] = [];
  const { url, port, requests } = await serveRoutes(
    t,
    () => assert.fail('handled'),
    {
      async authorize(context, { admin }) {
        asked.push(admin);
        assert.equal(context.req.readableFlowing, null);
        throw new ServingError('UNAUTHORIZED', 'no token');
      },
    },
    { body: BUFFERED, admin: true },
  );
  const client = connect({ port });
  client.send('POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello');
  const { status, headers } = await client.answer();
  assert.deepEqual([status, headers['www-authenticate']], [401, 'Bearer']);
  client.destroy();
  assert.equal((await fetch(`${url}/read`)).status, 401);
  assert.deepEqual(asked, [true, undefined]);
  assert.deepEqual(new Set(requests.map(({ code }) => code)), new Set(['UNAUTHORIZED']));
});

test('a request whose authorization outlasts the deadline is answered 504, and never handled', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const budget = new BodyBudget(1000);
  const { url } = await serveRoutes(
    t,
    () => assert.fail('handled'),
    { requestTimeoutMs: 30, authorize: () => promise, budget },
    { body: BUFFERED },
  );
  assert.equal((await fetch(`${url}/write`, { method: 'POST', body: 'x' })).status, 504);
  resolve();
  assert.equal((await fetch(`${url}/nothing`)).status, 404);
  assert.equal(budget.used, 0);
});

test('the deadline of a stream route ends when its buffered body has arrived', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const body = { kind: 'streamed', limit: 100, bufferedTypes: ['application/json'], streamTypes: ['x/y'] } as const;
  const { url, port } = await serveRoutes(
    t,
    (context) => promise.then(() => answerQuery(context)),
    { requestTimeoutMs: 30 },
    { body },
  );
  const client = connect({ port });
  client.send('POST /write HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
  assert.equal((await client.answer()).status, 408);
  client.destroy();
  const headers = { 'content-type': 'application/json' };
  const written = fetch(`${url}/write`, { method: 'POST', body: '[]', headers });
  setTimeout(resolve, 60);
  assert.equal((await written).status, 200);
});

test('while the server drains, only probes are answered', async (t) => {
  const { url } = await serveRoutes(t, answerQuery, { draining: () => true });
  assert.equal((await fetch(`${url}/read`)).status, 200);
  const refused = await fetch(`${url}/write`, { method: 'POST' });
  assert.deepEqual(
    [
      refused.status,
      (await bodyOf(refused)).code,
      refused.headers.get('connection'),
      refused.headers.get('retry-after'),
    ],
    [503, 'DRAINING', 'close', '1'],
  );
});

test('a response that is compressed is part of its request: it is waited for, and a failure behind it is answered once', async (t) => {
  const text = JSON.stringify('x'.repeat(10_000));
  let fails = false;
  const { url, requests } = await serveRoutes(
    t,
    (context) => {
      sendJson(context, 200, text);
      if (fails) throw new Error('too late');
    },
    { logRequests: 'all' },
  );
  const headers = { 'accept-encoding': 'gzip' };
  const answer = await fetch(`${url}/read`, { headers });
  assert.deepEqual([answer.headers.get('content-encoding'), await answer.text()], ['gzip', text]);
  fails = true;
  assert.equal((await fetch(`${url}/read`, { headers })).status, 500);
  fails = false;
  assert.equal((await fetch(`${url}/read`, { headers })).status, 200);
  assert.deepEqual(
    requests.map(({ status }) => status),
    [200, 500, 200],
  );
});

test('a router without a check of the caller refuses routes that need the admin token', () => {
  const options = {
    requestTimeoutMs: 1000,
    logRequests: 'failed',
    draining: () => false,
    ...recordTelemetry(),
  } as const;
  const route = { method: 'POST', path: '/load', handle: answerQuery } as const;
  assert.throws(() => createRouter([{ ...route, admin: true }], options), /routes with `admin` need `authorize`/);
  createRouter([{ ...route, admin: true }], { ...options, authorize() {} });
  createRouter([route], options);
});

test('a caller whose authorization outlasts the deadline does not learn how long the queue of the model is', async (t) => {
  async function ask(authorize: () => void | Promise<void>): Promise<[retryAfter: string | null, calls: number]> {
    let calls = 0;
    const full = new ServingError('OVERLOADED', 'the queue is full', { retryAfter: 77 });
    // It is full for the second call: a request that is authorized is handled.
    const admit = () => (++calls === 1 ? undefined : full);
    const { url } = await serveRoutes(t, never, { requestTimeoutMs: 20, authorize }, { admit });
    const response = await fetch(`${url}/write`, { method: 'POST' });
    assert.equal(response.status, 504);
    return [response.headers.get('retry-after'), calls];
  }
  assert.deepEqual(await ask(never), ['1', 0]);
  assert.deepEqual(await ask(() => {}), ['77', 2]);
});

test('a refusal before the body is sent when its turn comes, and the route is not called', async (t) => {
  const turn = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const refusals = {
    wait() {
      asked.resolve();
      return turn.promise;
    },
    stop: () => {},
  };
  const admit = () => new ServingError('OVERLOADED', 'full', { retryAfter: 3 });
  const handle = () => assert.fail('a refused request was handled');
  const { url, requests } = await serveRoutes(t, handle, { refusals, logRequests: 'all' }, { admit });
  const refused = fetch(`${url}/write`, { method: 'POST' });
  await asked.promise;
  assert.deepEqual(requests, [], 'it was sent before its turn');
  turn.resolve();
  const response = await refused;
  assert.deepEqual([response.status, response.headers.get('retry-after')], [429, '3']);
});
