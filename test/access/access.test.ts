import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Authenticate, createAccess } from '../../functions/access/access.ts';
import type { Caller } from '../../functions/access/caller.ts';
import { createClock } from '../helpers/clock.ts';
import { AUDIENCE, sha256, startIssuer } from '../helpers/issuer.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';
import { tempFiles } from '../helpers/temp-file.ts';

const write = tempFiles('access-');
const TOKENS = ['web', 'ops'].map((name) => ({ name, sha256: sha256(`${name}-token`) }));
const file = write('tokens.json', JSON.stringify({ tokens: TOKENS }));
const { logger } = recordTelemetry();
const IAP = 'https://cloud.google.com/iap';

/** Authenticates requests by their headers, each on a connection of its own unless the test gives one. */
function on(authenticate: Authenticate) {
  return async (headers: IncomingHttpHeaders, socket = {} as Socket): Promise<Caller> =>
    authenticate({ headers, socket });
}

const forTokens = () => on(createAccess({ tokenFile: file, jwt: undefined, quota: undefined, logger }));
function forIssuers(...issuers: string[]) {
  const jwt = { issuers, audiences: [AUDIENCE], claims: [], quota: undefined };
  return on(createAccess({ tokenFile: file, jwt, quota: undefined, logger }));
}

test('a token is read from Authorization: Bearer, in any case', async () => {
  const authenticate = forTokens();
  for (const authorization of ['Bearer web-token', 'bearer web-token', 'BEARER   web-token  ']) {
    assert.equal((await authenticate({ authorization })).name, 'web');
  }
  assert.equal((await authenticate({ authorization: 'Bearer ops-token' })).name, 'ops');
});

test('without a bearer token the challenge has no error; with a wrong one it has', async () => {
  const authenticate = forTokens();
  const ask = async (authorization?: string) => authenticate(authorization === undefined ? {} : { authorization });
  for (const none of [undefined, '', 'Bearer', 'Bearer ', 'Basic web-token', 'web-token', 'Bearerweb-token']) {
    await assert.rejects(ask(none), { code: 'UNAUTHORIZED', challenge: 'Bearer realm="onnx-cloud-run"' });
  }
  for (const wrong of ['Bearer web', 'Bearer web-token x', 'Bearer web-token,ops-token', 'Bearer é', 'Bearer a.b.c']) {
    await assert.rejects(ask(wrong), {
      code: 'UNAUTHORIZED',
      challenge: 'Bearer realm="onnx-cloud-run", error="invalid_token", error_description="the token is not valid"',
    });
  }
});

test('a wrong token takes the same work as a right one, however much of it is right', async (t: TestContext) => {
  const hashed = t.mock.method(crypto, 'hash');
  const compared = t.mock.method(crypto, 'timingSafeEqual');
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const authenticate = forTokens();
  for (const token of ['web-token', 'web-tokem', 'w', 'x'.repeat(1000), 'ops-token']) {
    const before = [hashed.mock.callCount(), compared.mock.callCount()];
    await authenticate({ authorization: `Bearer ${token}` }).catch(() => {});
    assert.deepEqual([hashed.mock.callCount() - before[0]!, compared.mock.callCount() - before[1]!], [1, 1], token);
    const [left, right] = compared.mock.calls.at(-1)!.arguments as [Buffer, Buffer];
    assert.deepEqual([left.length, right.length], [64, 64]);
  }
});

test('on one connection each request is judged by its own token', async () => {
  const authenticate = forTokens();
  const socket = {} as Socket;
  for (const [token, name] of [
    ['web-token', 'web'],
    ['web-token', 'web'],
    ['web-toke', undefined],
    ['web-tokem', undefined],
    ['', undefined],
    ['web-token', 'web'],
    ['ops-token', 'ops'],
    ['web-token\u0100', undefined],
    ['web-token', 'web'],
  ]) {
    const caller = await authenticate({ authorization: `Bearer ${token}` }, socket).catch(() => undefined);
    assert.equal(caller?.name, name, token);
  }
});

test('a token that is removed from the file is refused on its connection too', async (t) => {
  const own = write('removed.json', JSON.stringify({ tokens: TOKENS }));
  t.mock.method(performance, 'now', () => clock.now());
  const clock = createClock();
  const authenticate = on(createAccess({ tokenFile: own, jwt: undefined, quota: undefined, logger }));
  const socket = {} as Socket;
  const headers = { authorization: 'Bearer web-token' };
  assert.equal((await authenticate(headers, socket)).name, 'web');
  writeFileSync(own, JSON.stringify({ tokens: TOKENS.slice(1) }));
  clock.pass(999);
  assert.equal((await authenticate(headers, socket)).name, 'web');
  clock.pass(1);
  const [first, second] = [authenticate(headers, socket), authenticate(headers, socket)];
  await assert.rejects(first, { code: 'UNAUTHORIZED' });
  await assert.rejects(second, { code: 'UNAUTHORIZED' });
  assert.equal((await authenticate({ authorization: 'Bearer ops-token' }, socket)).name, 'ops');
});

test('tokens of the file and JWTs are accepted side by side', async (t) => {
  const issuer = await startIssuer('ES256');
  t.after(() => issuer.close());
  const authenticate = forIssuers(issuer.url);
  assert.equal((await authenticate({ authorization: 'Bearer web-token' })).name, 'web');
  assert.equal((await authenticate({ authorization: `Bearer ${await issuer.sign()}` })).name, 'ada@example.com');
});

test('the assertion of Identity-Aware Proxy is read only if that is an issuer, and comes before Authorization then', async (t) => {
  const issuer = await startIssuer('ES256');
  t.after(() => issuer.close());
  const { fetch } = globalThis;
  t.mock.method(globalThis, 'fetch', () => fetch(`${issuer.url}/keys`));
  const assertion = await issuer.sign({ claims: { iss: IAP, email: 'iap@example.com' } });
  const headers = { 'x-goog-iap-jwt-assertion': assertion };
  const behindIap = forIssuers(IAP);
  assert.equal((await behindIap(headers)).name, 'iap@example.com');
  assert.equal((await behindIap({ ...headers, authorization: 'Bearer web-token' })).name, 'iap@example.com');
  assert.equal((await behindIap({ authorization: 'Bearer web-token' })).name, 'web');
  const forged = { 'x-goog-iap-jwt-assertion': 'a.b.c', authorization: 'Bearer web-token' };
  await assert.rejects(async () => behindIap(forged), { code: 'UNAUTHORIZED' });
  const others = forIssuers(issuer.url);
  await assert.rejects(async () => others(headers), {
    code: 'UNAUTHORIZED',
    challenge: 'Bearer realm="onnx-cloud-run"',
  });
  assert.equal((await others({ ...headers, authorization: 'Bearer web-token' })).name, 'web');
});
