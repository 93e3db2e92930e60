import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { explainThrown } from '../../../../functions/model/sources/gcs/errors.ts';
import { createGcsSource } from '../../../../functions/model/sources/gcs/gcs.ts';
import type { Fault } from '../../../helpers/storage-faults.ts';
import { readRange, rejectsWith } from '../contract.ts';
import { NEVER, setUp } from '../gcs-kit.ts';

test('a fault that may be temporary is transient, with the wait that the service asks for', async (t) => {
  const { server, source, entry } = await setUp(t);
  const date = new Date(Date.now() + 60_000).toUTCString();
  for (const [status, retryAfter] of [[408], [429, '7'], [500], [502], [503, date]] as const) {
    for (const kind of ['list', 'media'] as const) {
      server.inject({ type: 'status', kind, status, ...(retryAfter !== undefined && { retryAfter }) });
      const attempt = kind === 'list' ? source.list(NEVER) : readRange(source, entry);
      const { waitSeconds } = await rejectsWith(attempt, 'transient', new RegExp(`${status}.*Injected fault`));
      if (status === 429) assert.equal(waitSeconds, 7);
      else if (status === 503) assert.ok(waitSeconds! > 50 && waitSeconds! <= 60, `${waitSeconds}`);
      else assert.equal(waitSeconds, undefined);
    }
  }
});

test('a fault that the operator must remove is refused at once, and says how', async (t) => {
  const { server, source, entry } = await setUp(t);
  const anonymous = 'Anonymous caller does not have storage.objects.list access to the Google Cloud Storage bucket.';
  const cases: [Fault, RegExp][] = [
    [{ type: 'status', kind: 'list', status: 401 }, /^gs:\/\/models: the credentials were not accepted/],
    [{ type: 'status', kind: 'media', status: 401 }, /model\.onnx: the credentials were not accepted/],
    [
      { type: 'status', kind: 'list', status: 401, message: anonymous },
      /no credentials.*gcloud auth application-default/,
    ],
    [{ type: 'status', kind: 'media', status: 401, message: anonymous }, /no credentials.*Cloud Run and GKE/],
    [{ type: 'status', kind: 'list', status: 403 }, /objects\.list.*roles\/storage\.objectViewer on gs:\/\/models$/],
    [{ type: 'status', kind: 'media', status: 403 }, /objects\.get.*roles\/storage\.objectViewer on gs:\/\/models$/],
    [{ type: 'status', kind: 'list', status: 400 }, /refused: 400 Injected/],
  ];
  for (const [fault, message] of cases) {
    server.inject(fault);
    const before = server.requests.length;
    const error = await rejectsWith(
      fault.kind === 'list' ? source.list(NEVER) : readRange(source, entry),
      'refused',
      message,
    );
    assert.equal(error.message.includes('\n'), false);
    assert.equal(server.requests.length, before + 1);
  }
  const elsewhere = createGcsSource('gs://no-such-bucket/x', { endpoint: server.url });
  await rejectsWith(elsewhere.list(NEVER), 'refused', /gs:\/\/no-such-bucket\/x: there is no bucket no-such-bucket/);
  await elsewhere.close();
});

test('a 404 and a 412 for a listed object mean that it changed', async (t) => {
  const { server, source, entry } = await setUp(t);
  for (const status of [404, 412]) {
    server.inject({ type: 'status', kind: 'media', status });
    await rejectsWith(readRange(source, entry), 'changed', /gs:\/\/models\/m\/model\.onnx: replaced or removed/);
  }
});

test('quotes only the beginning of what the service says', async (t) => {
  const { server, source, entry } = await setUp(t);
  for (const kind of ['list', 'media'] as const) {
    server.inject({ type: 'status', kind, status: 400, message: `${'x'.repeat(5_000)}\nsecond line` });
    const error = await rejectsWith(kind === 'list' ? source.list(NEVER) : readRange(source, entry), 'refused');
    assert.ok(error.message.length < 300 && !error.message.includes('second'), error.message);
  }
});

test('a service that cannot be reached is transient', async (t) => {
  const closed = createServer();
  await once(closed.listen(0, '127.0.0.1'), 'listening');
  const { port } = closed.address() as { port: number };
  closed.close();
  const { entry } = await setUp(t);
  const source = createGcsSource('gs://models', { endpoint: `http://127.0.0.1:${port}` });
  await rejectsWith(source.list(NEVER), 'transient', /^gs:\/\/models: connect ECONNREFUSED/);
  await rejectsWith(readRange(source, entry), 'transient', /ECONNREFUSED/);
  await source.close();
});

test('distinguishes faults of credentials from faults of the bucket', () => {
  const attempted = { action: 'list', place: 'gs://models', bucket: 'models' } as const;
  const explained = (message: string, code?: number | string) =>
    explainThrown(attempted, Object.assign(new Error(message), { code }));
  const none = explained('Could not load the default credentials. Browse to https://cloud.google.com/docs for more.');
  assert.equal(none.fault, 'refused');
  assert.match(none.message, /no credentials.*gcloud auth application-default login/);
  const gone = explained('A Not Found error was returned while attempting to retrieve an access token', 404);
  assert.match(gone.message, /give no access token/);
  assert.equal(explained('invalid_grant', 400).fault, 'refused');
  assert.equal(explained('access token: metadata server is busy', 503).fault, 'transient');
  assert.equal(explained('socket hang up', 'ECONNRESET').fault, 'transient');
  const limit = Object.assign(new Error('Too much'), { code: 403, errors: [{ reason: 'rateLimitExceeded' }] });
  assert.equal(explainThrown(attempted, limit).fault, 'transient');
});

test('uses the code of an error that has no message', () => {
  const attempted = { action: 'list', place: 'gs://models', bucket: 'models' } as const;
  const error = Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:80')]), { code: 'ECONNREFUSED' });
  assert.equal(explainThrown(attempted, error).message, 'gs://models: ECONNREFUSED');
});

test('keeps the access token of the request out of the error', async (t) => {
  const { server, source } = await setUp(t);
  for (const status of [403, 503]) {
    server.inject({ type: 'status', kind: 'list', status });
    const error = await source.list(NEVER).catch((error: unknown) => error);
    assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), /x-goog-api-client|authorization/i);
  }
});
