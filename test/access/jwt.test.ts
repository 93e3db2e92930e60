import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { SignJWT } from 'jose';
import type { Caller } from '../../functions/access/caller.ts';
import { parseClaims } from '../../functions/access/claims.ts';
import { createJwtCheck, type JwtRules } from '../../functions/access/jwt.ts';
import { createClock } from '../helpers/clock.ts';
import { AUDIENCE, type Issuer, sha256, startIssuer, type TokenOptions } from '../helpers/issuer.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

async function rig(t: TestContext, { algorithm = 'ES256', ...rules }: Partial<JwtRules> & { algorithm?: string } = {}) {
  const issuer = await startIssuer(algorithm);
  t.after(() => issuer.close());
  const start = Date.now();
  const { now, pass } = createClock();
  const { check } = createJwtCheck({
    issuers: [issuer.url],
    audiences: [AUDIENCE, 'https://second.example'],
    claims: [],
    quota: undefined,
    ...rules,
    logger: recordTelemetry().logger,
    clock: () => start + now(),
    now,
  });
  const send = async (token: string): Promise<Caller> => check(token, sha256(token));
  return { issuer, check, send, pass };
}

const NOT_VALID = /error="invalid_token", error_description="the token is not valid"$/;

for (const algorithm of ['RS256', 'RS512', 'PS256', 'ES256', 'ES384', 'EdDSA']) {
  test(`a token signed with ${algorithm} is accepted`, async (t) => {
    const { issuer, send } = await rig(t, { algorithm });
    assert.equal((await send(await issuer.sign())).name, 'ada@example.com');
  });
}

const OTHERS: [title: string, options: TokenOptions, detail: RegExp][] = [
  ['for another audience', { claims: { aud: 'https://other.example' } }, /"aud"/],
  ['without an audience', { claims: { aud: undefined } as never }, /"aud"/],
  ['of another issuer', { claims: { iss: 'https://other.example' } }, /not in AUTH_ISSUER/],
  ['without an issuer', { claims: { iss: undefined } as never }, /not in AUTH_ISSUER/],
  ['without a subject', { claims: { sub: undefined } as never }, /"sub"/],
  ['without an expiry', { claims: { exp: undefined } as never }, /"exp"/],
  ['without a signature', { algorithm: 'none' }, /"alg"|alg/],
  ['signed with the public key as a secret', { algorithm: 'HS256' }, /"alg"/],
  ['with a key that the issuer does not have', { kid: 'forged' }, /no applicable key/],
];

for (const [title, options, detail] of OTHERS) {
  test(`a token ${title} is refused, and only the log says why`, async (t) => {
    const { issuer, send } = await rig(t);
    await assert.rejects(send(await issuer.sign(options)), {
      code: 'UNAUTHORIZED',
      message: 'the token is not valid',
      challenge: NOT_VALID,
      detail,
    });
  });
}

test('texts that are no JWT are refused, without a request to the issuer', async (t) => {
  const { issuer, send } = await rig(t);
  for (const text of ['opaque', 'a.b', 'a.b.c.d.e', 'a.b.c', '..', 'é.é.é', `${'a'.repeat(9000)}.b.c`]) {
    await assert.rejects(send(text), { code: 'UNAUTHORIZED', challenge: NOT_VALID }, text);
  }
  assert.deepEqual(issuer.requests, []);
});

test('the signature of another key of the same name is refused', async (t) => {
  const { issuer, send } = await rig(t);
  const other = await startIssuer('ES256');
  t.after(() => other.close());
  await send(await issuer.sign());
  const forged = await other.sign({ claims: { iss: issuer.url } });
  await assert.rejects(send(forged), { code: 'UNAUTHORIZED', detail: /signature verification failed/ });
});

test('clocks may differ by 30 seconds, and no more', async (t) => {
  const { issuer, send } = await rig(t);
  const now = Math.floor(Date.now() / 1000);
  await send(await issuer.sign({ expiresIn: -25 }));
  await send(await issuer.sign({ claims: { nbf: now + 25 } }));
  await assert.rejects(send(await issuer.sign({ expiresIn: -35 })), {
    challenge: /error="invalid_token", error_description="the token has expired"$/,
  });
  await assert.rejects(send(await issuer.sign({ claims: { nbf: now + 40 } })), { challenge: NOT_VALID });
});

test('all claims must hold', async (t) => {
  const { issuer, send } = await rig(t, { claims: parseClaims('groups=ml,email=ada@example.com|bob@example.com')! });
  await send(await issuer.sign());
  await send(await issuer.sign({ claims: { email: 'bob@example.com' } }));
  for (const claims of [{ groups: ['x'] }, { email: 'eve@example.com' }, { email_verified: false }]) {
    await assert.rejects(send(await issuer.sign({ claims })), {
      challenge: NOT_VALID,
      detail: /^AUTH_CLAIMS: the claim /,
    });
  }
});

test('a caller has the name of its verified address, else of its subject, and no right to metrics', async (t) => {
  const { issuer, send } = await rig(t);
  const { id, ...caller } = await send(await issuer.sign());
  assert.equal(id, `${issuer.url} 1234567890`);
  assert.deepEqual(caller, {
    name: 'ada@example.com',
    models: undefined,
    metrics: false,
    operator: false,
    quota: undefined,
  });
  assert.equal((await send(await issuer.sign({ claims: { email_verified: false } }))).name, '1234567890');
  const long = await send(await issuer.sign({ claims: { email: undefined, sub: 'x'.repeat(5000) } as never }));
  assert.ok(long.name.length < 300);
});

test('a checked token is known at once until it expires, and checked again after ten minutes', async (t) => {
  const { issuer, check, send, pass } = await rig(t);
  const [short, long] = [await issuer.sign({ expiresIn: 60 }), await issuer.sign({ expiresIn: 7200 })];
  const [first, second] = [await send(short), await send(long)];
  assert.equal(check(short, sha256(short)), first);
  pass(80_000);
  assert.equal(check(short, sha256(short)), first);
  pass(11_000);
  await assert.rejects(send(short), { message: 'the token has expired' });
  assert.equal(check(long, sha256(long)), second);
  await issuer.rotate();
  pass(600_000);
  // The keys are read again meanwhile.
  await send(long);
  await send(await issuer.sign({ expiresIn: 7200 }));
  pass(600_000);
  await assert.rejects(send(long), { detail: /no applicable key/ });
});

test('while the issuer is down, checked tokens and known keys are accepted', async (t) => {
  const { issuer, send, pass } = await rig(t);
  const [checked, fresh] = [await issuer.sign({ expiresIn: 7200 }), await issuer.sign({ expiresIn: 7200 })];
  await send(checked);
  issuer.fault = 'status';
  pass(3_600_000);
  for (const token of [checked, fresh, checked]) assert.equal((await send(token)).name, 'ada@example.com');
  await issuer.rotate();
  await assert.rejects(send(await issuer.sign({ expiresIn: 7200 })), { code: 'NOT_READY' });
});

test('all tokens of a subject share its quota; other subjects have their own', async (t) => {
  const { issuer, send } = await rig(t, { quota: { rows: 5 } });
  const [first, second] = [await send(await issuer.sign()), await send(await issuer.sign({ expiresIn: 200 }))];
  assert.ok(first.quota !== undefined && first !== second);
  assert.equal(first.quota, second.quota);
  const other = await send(await issuer.sign({ claims: { sub: 'other' } }));
  assert.notEqual(other.quota, first.quota);
  assert.deepEqual(other.quota!.limits, { rows: 5 });
});

test("each issuer's tokens are checked with its own keys", async (t) => {
  const [first, second] = [await startIssuer('ES256'), await startIssuer('RS256')] as [Issuer, Issuer];
  t.after(() => Promise.all([first.close(), second.close()]));
  const { send } = await rig(t, { issuers: [first.url, second.url] });
  assert.equal((await send(await first.sign())).id, `${first.url} 1234567890`);
  assert.equal((await send(await second.sign())).id, `${second.url} 1234567890`);
  await assert.rejects(send(await first.sign({ claims: { iss: second.url } })), { code: 'UNAUTHORIZED' });
});

/** Answers for the addresses of issuers that are not on this machine, with the keys of a local one. */
function redirectFetch(t: TestContext, answers: Record<string, () => Promise<Response>>): string[] {
  const asked: string[] = [];
  t.mock.method(globalThis, 'fetch', async (url: string) => {
    asked.push(url);
    return (await answers[url]?.()) ?? new Response('', { status: 404 });
  });
  return asked;
}

test("Google's tokens are accepted with either form of its name", async (t) => {
  const { fetch } = globalThis;
  const { issuer, send } = await rig(t, { issuers: ['https://accounts.google.com'] });
  const keysUrl = 'https://www.googleapis.com/oauth2/v3/certs';
  redirectFetch(t, {
    'https://accounts.google.com/.well-known/openid-configuration': async () =>
      Response.json({ issuer: 'https://accounts.google.com', jwks_uri: keysUrl }),
    [keysUrl]: () => fetch(`${issuer.url}/keys`),
  });
  for (const iss of ['https://accounts.google.com', 'accounts.google.com']) {
    assert.equal((await send(await issuer.sign({ claims: { iss } }))).name, 'ada@example.com');
  }
  await assert.rejects(send(await issuer.sign({ claims: { iss: 'https://accounts.google.com/' } })), {
    code: 'UNAUTHORIZED',
  });
});

test('the assertions of Identity-Aware Proxy are checked with its own keys, and ES256 alone', async (t) => {
  const { fetch } = globalThis;
  const iap = 'https://cloud.google.com/iap';
  const { issuer, send } = await rig(t, { issuers: [iap] });
  const asked = redirectFetch(t, {
    'https://www.gstatic.com/iap/verify/public_key-jwk': () => fetch(`${issuer.url}/keys`),
  });
  assert.equal((await send(await issuer.sign({ claims: { iss: iap } }))).name, 'ada@example.com');
  assert.deepEqual(asked, ['https://www.gstatic.com/iap/verify/public_key-jwk']);
  await issuer.rotate('RS256');
  await assert.rejects(send(await issuer.sign({ claims: { iss: iap } })), { detail: /"alg"/ });
});

test('a token with a critical header that is not understood is refused', async (t) => {
  const { issuer, send } = await rig(t);
  await send(await issuer.sign());
  const key = new TextEncoder().encode('x'.repeat(64));
  const header = { alg: 'HS512', crit: ['b64'], b64: true };
  const token = await new SignJWT({ iss: issuer.url, sub: '1', aud: AUDIENCE, exp: 9e9 })
    .setProtectedHeader(header)
    .sign(key);
  await assert.rejects(send(token), { code: 'UNAUTHORIZED' });
});
