import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import type { RequestContext } from '../../functions/http/request-context.ts';
import { connect } from '../helpers/raw-http.ts';
import { answerQuery, serveRoutes } from '../helpers/serve.ts';
import { until } from '../helpers/until.ts';

test('the route is notified of a client that leaves, which is recorded as 499', async (t) => {
  let given: RequestContext | undefined;
  const { promise, resolve } = Promise.withResolvers<void>();
  const { port, requests } = await serveRoutes(t, (context) => {
    given = context;
    return promise;
  });
  const client = connect({ port });
  client.send('GET /read HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => given !== undefined, 'the request to arrive');
  assert.equal(given!.cancellation.cancelled, false);
  const closed = once(given!.res, 'close');
  client.destroy();
  await closed;
  assert.equal(given!.cancellation.cancelled, true);
  resolve();
  await until(() => requests.length > 0, 'the record');
  assert.deepEqual(
    requests.map(({ status, code }) => [status, code]),
    [[499, 'CLIENT_GONE']],
  );
});

test('responses are counted by route, not by requested path', async (t) => {
  const { url, metrics } = await serveRoutes(t);
  for (const path of ['/read?x=1', '/read?x=2', '/write', '/wp-admin', '/.env']) await fetch(url + path);
  const { text } = await metrics.render();
  assert.match(text, /http_requests_total\{.*route="\/read".*\} 2/);
  assert.match(text, /http_requests_total\{.*route="none".*\} 2/);
  assert.match(text, /http_requests_total\{.*route="\/write".*status="405".*\} 1/);
  assert.doesNotMatch(text, /wp-admin|x=1/);
});

test('requests are logged when they failed, when they were slow, or all where asked for', async (t) => {
  const quiet = await serveRoutes(t);
  await fetch(`${quiet.url}/read`);
  await fetch(`${quiet.url}/nothing?secret=1`, { headers: { 'user-agent': 'me', 'x-request-id': 'r1' } });
  const { seconds, trace, ...logged } = quiet.requests[0]!;
  assert.equal(quiet.requests.length, 1);
  assert.deepEqual(logged, {
    method: 'GET',
    path: '/nothing',
    status: 404,
    requestId: 'r1',
    userAgent: 'me',
    code: 'NOT_FOUND',
    error: undefined,
  });
  assert.ok(seconds >= 0 && seconds < 10);
  assert.equal(typeof trace, 'function');

  const all = await serveRoutes(t, answerQuery, { logRequests: 'all' });
  await fetch(`${all.url}/read`);
  assert.deepEqual(
    all.requests.map(({ status }) => status),
    [200],
  );

  let later = 0;
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + later);
  const slow = await serveRoutes(t, (context) => {
    later = 11_000;
    answerQuery(context);
  });
  await fetch(`${slow.url}/read`);
  assert.equal(slow.requests.length, 1);
  assert.ok(slow.requests[0]!.seconds > 10);
});

test('a probe that says "not yet" is not logged each time, nor is a refusal of a server that drains; what fails else is', async (t) => {
  let error = new ServingError('NOT_READY', 'loading');
  const { url, requests } = await serveRoutes(t, () => Promise.reject(error));
  await fetch(`${url}/read`);
  error = new ServingError('DRAINING', 'bye');
  await fetch(`${url}/read`);
  assert.deepEqual(requests, []);
  await fetch(`${url}/write`, { method: 'POST' });
  error = new ServingError('INTERNAL', 'bug');
  await fetch(`${url}/read`);
  assert.deepEqual(
    requests.map(({ path, code }) => [path, code]),
    [['/read', 'INTERNAL']],
  );
});
