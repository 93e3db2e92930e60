import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import * as jose from 'jose';
import { createIssuerKeys, isSafeUrl } from '../../functions/access/issuer-keys.ts';
import { createClock } from '../helpers/clock.ts';
import { type Issuer, startIssuer } from '../helpers/issuer.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 1440 * MINUTE;

/** The keys of a local issuer, with a clock that the test moves. */
async function rig(t: TestContext) {
  const issuer = await startIssuer();
  t.after(() => issuer.close());
  const { logger, lines } = recordTelemetry();
  const { now, pass } = createClock();
  const find = createIssuerKeys({ jose, issuer: issuer.url, keysUrl: undefined, logger, now });
  async function verify(token: string): Promise<string | undefined> {
    return (await jose.jwtVerify(token, find)).payload.sub;
  }
  return { issuer, lines, verify, pass };
}

const reads = ({ requests }: Issuer): number => requests.filter((path) => path === '/keys').length;
const NOT_READY = { code: 'NOT_READY', retryAfter: 5, message: /the keys of its issuer cannot be read/ };
const UNKNOWN_KEY = { code: 'ERR_JWKS_NO_MATCHING_KEY' };

test('keys are found by discovery, and read once for all tokens', async (t) => {
  const { issuer, verify } = await rig(t);
  const token = await issuer.sign();
  assert.deepEqual(
    await Promise.all([verify(token), verify(token), verify(await issuer.sign())]),
    Array(3).fill('1234567890'),
  );
  assert.deepEqual(issuer.requests, ['/.well-known/openid-configuration', '/keys']);
});

test('a new key is read when a token names it, but not for each unknown key', async (t) => {
  const { issuer, verify, pass } = await rig(t);
  await verify(await issuer.sign());
  await issuer.rotate();
  const token = await issuer.sign();
  pass(29 * SECOND);
  for (let i = 0; i < 5; i++) await assert.rejects(verify(token), UNKNOWN_KEY);
  assert.equal(reads(issuer), 1);
  pass(SECOND);
  assert.equal(await verify(token), '1234567890');
  for (let i = 0; i < 5; i++) await assert.rejects(verify(await issuer.sign({ kid: `forged-${i}` })), UNKNOWN_KEY);
  assert.equal(reads(issuer), 2);
});

test('keys are read again after ten minutes, so that a withdrawn key is not accepted', async (t) => {
  const { issuer, verify, pass } = await rig(t);
  const old = await issuer.sign();
  await verify(old);
  await issuer.rotate();
  pass(10 * MINUTE);
  // In the background: this one does not wait.
  assert.equal(await verify(old), '1234567890');
  assert.equal(await verify(await issuer.sign()), '1234567890');
  await assert.rejects(verify(old), UNKNOWN_KEY);
});

test('while an issuer fails, known keys are used, and tokens with unknown keys are not ready', async (t) => {
  const { issuer, verify, pass, lines } = await rig(t);
  const known = await issuer.sign();
  await verify(known);
  await issuer.rotate();
  const unknown = await issuer.sign();
  issuer.fault = 'status';
  pass(11 * MINUTE);
  assert.equal(await verify(known), '1234567890');
  await assert.rejects(verify(unknown), NOT_READY);
  const before = issuer.requests.length;
  for (let i = 0; i < 5; i++) {
    assert.equal(await verify(known), '1234567890');
    await assert.rejects(verify(unknown), NOT_READY);
  }
  assert.equal(issuer.requests.length, before, 'it was asked again too soon');
  pass(5 * SECOND);
  await assert.rejects(verify(unknown), NOT_READY);
  assert.equal(issuer.requests.length, before + 1);
  issuer.fault = undefined;
  pass(5 * SECOND);
  assert.equal(await verify(unknown), '1234567890');
  assert.deepEqual(
    lines.map(({ level, message }) => `${level}: ${message.replace(issuer.url, 'URL').replace(/http.*: s/, 's')}`),
    ['error: the keys of URL cannot be read: status 500', 'info: the keys of URL can be read again'],
  );
});

test('keys that could not be read again for a day are not used', async (t) => {
  const { issuer, verify, pass } = await rig(t);
  const token = await issuer.sign();
  await verify(token);
  issuer.fault = 'status';
  pass(DAY - 1);
  assert.equal(await verify(token), '1234567890');
  pass(6 * SECOND);
  await assert.rejects(verify(token), NOT_READY);
});

for (const fault of ['status', 'no JSON', 'another issuer'] as const) {
  test(`an issuer that sends ${fault} has no keys: tokens are not ready, and the log says why`, async (t) => {
    const { issuer, verify, lines } = await rig(t);
    issuer.fault = fault;
    await assert.rejects(verify(await issuer.sign()), NOT_READY);
    assert.match(lines[0]!.message, /^the keys of http:\/\/127.* cannot be read: .*(status 500|JSON|https:\/\/other)/);
    assert.ok(!issuer.requests.includes('/keys'));
  });
}

test('an issuer that cannot be reached has no keys', async (t) => {
  const { issuer, verify, lines } = await rig(t);
  const token = await issuer.sign();
  await issuer.close();
  await assert.rejects(verify(token), NOT_READY);
  assert.match(lines[0]!.message, /ECONNREFUSED/);
});

test('addresses are https, or on this machine, and have no password', () => {
  for (const good of ['https://a.example/b', 'http://127.0.0.1:8080', 'http://localhost', 'http://[::1]:1']) {
    assert.ok(isSafeUrl(good), good);
  }
  for (const bad of [
    'http://a.example',
    'http://127.0.0.1.a.example',
    'ftp://localhost',
    'https://a:b@c.example',
    'a',
    '',
  ]) {
    assert.ok(!isSafeUrl(bad), bad);
  }
});
