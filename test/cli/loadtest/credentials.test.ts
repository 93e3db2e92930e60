import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCredentials } from '../../../functions/cli/loadtest/credentials.ts';
import { readTarget, type Target } from '../../../functions/cli/loadtest/http/target.ts';
import { fetchIdentityToken } from '../../../functions/cli/loadtest/identity-token.ts';
import { serve } from '../../helpers/serve.ts';

const target = (url: string): Target => readTarget(url) as Target;
const SERVICE = target('https://iris-abc.a.run.app/predict');
const fetchToken = async (audience: string): Promise<string> => `for.${audience.length}.x`;

test('a token is a bearer token, from the command line or a file', async (t) => {
  const file = join(tmpdir(), `token-${process.pid}`);
  writeFileSync(file, 'abc\n');
  t.after(() => rmSync(file));
  assert.deepEqual(await readCredentials({ token: 'abc' }, SERVICE), { Authorization: 'Bearer abc' });
  assert.deepEqual(await readCredentials({ tokenFile: file }, SERVICE), { Authorization: 'Bearer abc' });
  assert.deepEqual(await readCredentials({}, SERVICE), {});
  for (const token of ['', 'a b', 'a\r\nX: y', 'ä'])
    await assert.rejects(readCredentials({ token }, SERVICE), /expected one token without spaces/);
});

test('an identity token is for the origin of the URL, and leaves Authorization to a token of the server', async () => {
  const asked: string[] = [];
  const fetching = (audience: string): Promise<string> => {
    asked.push(audience);
    return fetchToken(audience);
  };
  assert.deepEqual(Object.keys(await readCredentials({ identityToken: true }, SERVICE, fetching)), ['Authorization']);
  const both = await readCredentials({ identityToken: 'https://other', token: 'abc' }, SERVICE, fetching);
  assert.deepEqual(Object.keys(both), ['Authorization', 'X-Serverless-Authorization']);
  assert.equal(both.Authorization, 'Bearer abc');
  assert.deepEqual(asked, ['https://iris-abc.a.run.app', 'https://other']);
});

test('an identity token is not sent without encryption, except to this machine', async () => {
  const options = { identityToken: true } as const;
  await assert.rejects(
    readCredentials(options, target('http://iris.example.com'), fetchToken),
    /over https:\/\/ alone/,
  );
  assert.ok(await readCredentials(options, target('http://localhost:8080'), fetchToken));
});

test('an identity token is that of the metadata server, else that of gcloud, for the audience if it can', async (t) => {
  const asked: (string | string[] | undefined)[] = [];
  let status = 200;
  const { port } = await serve(t, (req, res) => {
    asked.push(req.url, req.headers['metadata-flavor']);
    res.writeHead(status).end('a.b.c');
  });
  const metadata = { host: '127.0.0.1', port };
  const audience = 'https://iris-abc.a.run.app';
  const never = async (): Promise<string> => assert.fail('gcloud is not needed');
  assert.equal(await fetchIdentityToken(audience, { metadata, runGcloud: never }), 'a.b.c');
  assert.match(String(asked[0]), /\/identity\?format=full&audience=https%3A%2F%2Firis-abc\.a\.run\.app$/);
  assert.equal(asked[1], 'Google');
  status = 404;
  const runs: string[] = [];
  const runGcloud = async (args: readonly string[]): Promise<string> => {
    runs.push(args.join(' '));
    if (args.length > 2) throw new Error('Invalid account type for `--audiences`');
    return 'd.e.f\n';
  };
  assert.equal(await fetchIdentityToken(audience, { metadata, runGcloud }), 'd.e.f');
  assert.deepEqual(runs, [`auth print-identity-token --audiences=${audience}`, 'auth print-identity-token']);
});

test('without a source of tokens the error says what to do', async () => {
  const runGcloud = async (): Promise<string> => {
    throw Object.assign(new Error('spawn gcloud ENOENT'), { code: 'ENOENT' });
  };
  const metadata = { host: '127.0.0.1', port: 1 };
  await assert.rejects(fetchIdentityToken('https://x', { metadata, runGcloud }), {
    code: 'UNAUTHORIZED',
    message: /gcloud is not installed.*run gcloud auth login, or give a token with --token-file/,
  });
});
