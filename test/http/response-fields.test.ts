import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { cacheText, sendCached } from '../../functions/http/cached-response.ts';
import { createResponseFields } from '../../functions/http/response-fields.ts';
import { connect } from '../helpers/raw-http.ts';
import { answerQuery, serveRoutes } from '../helpers/serve.ts';

const ORIGIN = 'https://app.example';
const PREFLIGHT = { origin: ORIGIN, 'access-control-request-method': 'POST' };

/** A server whose callers all lack a token. */
async function startClosed(t: TestContext, origins: readonly string[]) {
  const fields = createResponseFields(origins, false);
  const authorize = (): never => {
    throw new ServingError('UNAUTHORIZED', 'no token');
  };
  return serveRoutes(t, answerQuery, { fields, authorize });
}

test('every response, errors included, may not be sniffed, stored, embedded or framed', async (t) => {
  const { url } = await serveRoutes(t);
  for (const path of ['/read', '/nowhere', '/write']) {
    const { headers } = await fetch(url + path);
    assert.deepEqual(
      ['x-content-type-options', 'cross-origin-resource-policy', 'cache-control'].map((name) => headers.get(name)),
      ['nosniff', 'same-origin', 'no-store'],
    );
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'");
    assert.equal(headers.get('strict-transport-security'), null);
    assert.equal(headers.get('access-control-allow-origin'), null);
  }
});

test('browsers are told to use HTTPS alone only by a server with TLS', async (t) => {
  const { url } = await serveRoutes(t, answerQuery, { fields: createResponseFields([], true) });
  for (const path of ['/read', '/nowhere']) {
    assert.equal((await fetch(url + path)).headers.get('strict-transport-security'), 'max-age=31536000');
  }
});

test('without origins, a preflight request is a request like any other', async (t) => {
  const { url } = await serveRoutes(t);
  const { status, headers } = await fetch(`${url}/write`, { method: 'OPTIONS', headers: PREFLIGHT });
  assert.deepEqual([status, headers.get('access-control-allow-origin'), headers.get('vary')], [405, null, null]);
});

test('a preflight request of an allowed origin is answered before authentication; its request is not', async (t) => {
  for (const [origins, allowed, vary] of [
    [[ORIGIN, 'http://localhost:3000'], ORIGIN, 'Origin'],
    [['*'], '*', null],
  ] as const) {
    const { url, requests } = await startClosed(t, origins);
    const { status, headers } = await fetch(`${url}/write`, { method: 'OPTIONS', headers: PREFLIGHT });
    assert.equal(status, 204);
    assert.deepEqual(
      ['allow-origin', 'allow-methods', 'allow-headers', 'max-age', 'allow-credentials'].map((name) =>
        headers.get(`access-control-${name}`),
      ),
      [allowed, 'GET, HEAD, POST', '*, Authorization', '7200', null],
    );
    assert.equal(headers.get('vary'), vary);
    assert.equal(requests.length, 0, 'it is not logged as a failure');
    const refused = await fetch(`${url}/write`, { method: 'POST', headers: { origin: ORIGIN } });
    assert.equal(refused.status, 401);
    assert.equal(refused.headers.get('access-control-allow-origin'), allowed, 'a script may read why');
  }
});

test('a preflight request whose body does not arrive is closed, like any other request', async (t) => {
  const fields = createResponseFields([ORIGIN], false);
  const { port } = await serveRoutes(t, answerQuery, { fields, requestTimeoutMs: 20 });
  const client = connect({ port });
  client.send(`OPTIONS /write HTTP/1.1\r\nHost: x\r\nOrigin: ${ORIGIN}\r\nAccess-Control-Request-Method: POST\r\n`);
  client.send('Content-Length: 10\r\n\r\nhalf');
  assert.match(await client.closed, /^HTTP\/1.1 204 /);
});

test('responses to an allowed origin may be read by its scripts, with the fields of retries and ids', async (t) => {
  const { url } = await serveRoutes(t, answerQuery, { fields: createResponseFields([ORIGIN], false) });
  for (const path of ['/read', '/nowhere']) {
    const { headers } = await fetch(url + path, { headers: { origin: ORIGIN } });
    assert.equal(headers.get('access-control-allow-origin'), ORIGIN);
    assert.equal(headers.get('access-control-allow-credentials'), null);
    assert.match(headers.get('access-control-expose-headers')!, /X-Request-Id, Retry-After.*RateLimit-Remaining/);
    assert.equal(headers.get('vary'), 'Origin');
  }
});

test('an origin that is not allowed, alike or not, gets no permission, and caches keep its responses apart', async (t) => {
  const { url } = await serveRoutes(t, answerQuery, { fields: createResponseFields([ORIGIN], false) });
  for (const origin of [
    'https://evil.example',
    `${ORIGIN}.evil.example`,
    'http://app.example',
    `${ORIGIN}:444`,
    'null',
  ]) {
    for (const method of ['GET', 'OPTIONS']) {
      const headers = { origin, 'access-control-request-method': 'GET' };
      const response = await fetch(`${url}/read`, { method, headers });
      assert.equal(response.status, method === 'GET' ? 200 : 405);
      assert.equal(response.headers.get('access-control-allow-origin'), null, origin);
      assert.equal(response.headers.get('vary'), 'Origin');
    }
  }
});

test('a response that varies by coding varies by origin too', async (t) => {
  const text = cacheText('text/plain', 'x');
  const fields = createResponseFields([ORIGIN], false);
  const { url } = await serveRoutes(t, (context) => sendCached(context, text, ['gzip']), { fields });
  const { headers } = await fetch(`${url}/read`, { headers: { origin: ORIGIN } });
  assert.equal(headers.get('vary'), 'Accept-Encoding, Origin');
});
