import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { resolveDigest } from '../../../scripts/pin-images/registry.ts';

const MANIFEST = '{"schemaVersion":2}';
const DIGEST = `sha256:${createHash('sha256').update(MANIFEST).digest('hex')}`;
const CHALLENGE =
  'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:library/node:pull"';

/** A registry that answers with these responses in order, and what it was asked. */
function registry(...responses: Response[]) {
  const asked: string[] = [];
  const fetch = (async (url, init) => {
    const authorization = new Headers(init?.headers).get('authorization');
    asked.push(authorization === null ? String(url) : `${url} ${authorization}`);
    return responses.shift()!;
  }) as typeof globalThis.fetch;
  return { asked, fetch };
}

test("the digest is that of the manifest's bytes, at the address of the image's registry", async () => {
  for (const [image, url] of [
    ['gcr.io/distroless/nodejs24-debian13:nonroot', 'https://gcr.io/v2/distroless/nodejs24-debian13/manifests/nonroot'],
    ['gcr.io/cloud-builders/docker', 'https://gcr.io/v2/cloud-builders/docker/manifests/latest'],
    ['node:24', 'https://registry-1.docker.io/v2/library/node/manifests/24'],
    ['nvidia/cuda:12', 'https://registry-1.docker.io/v2/nvidia/cuda/manifests/12'],
  ] as const) {
    const { asked, fetch } = registry(new Response(MANIFEST));
    assert.equal(await resolveDigest(image, fetch), DIGEST);
    assert.deepEqual(asked, [url]);
  }
});

test('a registry that wants a token names where it is, and gets it', async () => {
  const { asked, fetch } = registry(
    new Response('', { status: 401, headers: { 'WWW-Authenticate': CHALLENGE } }),
    Response.json({ token: 'abc' }),
    new Response(MANIFEST, { headers: { 'Docker-Content-Digest': DIGEST } }),
  );
  assert.equal(await resolveDigest('node:24', fetch), DIGEST);
  assert.deepEqual(asked.slice(1), [
    'https://auth.example/token?service=registry.example&scope=repository%3Alibrary%2Fnode%3Apull',
    'https://registry-1.docker.io/v2/library/node/manifests/24 Bearer abc',
  ]);
});

test('a manifest whose bytes are not those of the digest that the registry names is refused', async () => {
  const headers = { 'Docker-Content-Digest': `sha256:${'0'.repeat(64)}` };
  await assert.rejects(
    resolveDigest('node:24', registry(new Response(MANIFEST, { headers })).fetch),
    /^Error: node:24: the manifest has the digest/,
  );
});

test('an image that the registry does not have is an error with its address and the status', async () => {
  await assert.rejects(
    resolveDigest('node:24', registry(new Response('', { status: 404 })).fetch),
    /^Error: node:24: https:\/\/registry-1\.docker\.io\/v2\/library\/node\/manifests\/24 answered 404/,
  );
});

test('a registry that sends to a server without TLS for the token is refused', async () => {
  const challenge = CHALLENGE.replace('https:', 'http:');
  const response = new Response('', { status: 401, headers: { 'WWW-Authenticate': challenge } });
  await assert.rejects(resolveDigest('node:24', registry(response).fetch), /wants authentication, and names no server/);
});
