import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { DirectMessage } from '../../functions/http/body/direct-message.ts';
import { readBody } from '../../functions/http/body/read-body.ts';
import { failureBody, isArriving, sendFailure, toServingError } from '../../functions/http/error-response.ts';
import { type RequestContext, RequestState } from '../../functions/http/request-context.ts';
import { connect } from '../helpers/raw-http.ts';
import { serve } from '../helpers/serve.ts';

const context = (req: IncomingMessage, res: ServerResponse): RequestContext => ({
  req,
  res,
  id: 'id-7',
  query: '',
  params: {},
  cancellation: new RequestState(res),
  startedAt: 0,
});

test('a ServingError is shown to the client; the text of any other error is not', () => {
  const ours = new ServingError('NOT_FOUND', 'nothing here');
  assert.equal(toServingError(ours), ours);
  for (const other of [new TypeError('secret path /etc'), 'text', undefined]) {
    const shown = toServingError(other);
    assert.deepEqual([shown.code, shown.message], ['INTERNAL', 'internal error; the log has it under the request id']);
    assert.equal(shown.cause, other);
  }
});

test('the error shape has the text, the code, the request id, and the path if the error has one', () => {
  const error = new ServingError('INVALID_INPUT', 'features[2]: "é"', {
    path: 'features[2]',
    cause: new Error('secret'),
  });
  assert.deepEqual(JSON.parse(failureBody(error, 'id-7')), {
    error: 'features[2]: "é"',
    code: 'INVALID_INPUT',
    path: 'features[2]',
    request_id: 'id-7',
  });
  assert.deepEqual(Object.keys(JSON.parse(failureBody(new ServingError('INTERNAL', 'x'), 'i'))), [
    'error',
    'code',
    'request_id',
  ]);
});

test('an error response has its status, its headers and its length in bytes', async (t) => {
  const error = new ServingError('OVERLOADED', 'voll – später', { retryAfter: 3, allow: 'GET, HEAD' });
  const { url } = await serve(t, (req, res) => sendFailure(context(req, res), error));
  const answer = await fetch(url);
  assert.equal(answer.status, 429);
  assert.deepEqual(
    ['content-type', 'x-request-id', 'retry-after', 'allow', 'connection'].map((name) => answer.headers.get(name)),
    ['application/json', 'id-7', '3', 'GET, HEAD', 'keep-alive'],
  );
  assert.equal(((await answer.json()) as { error: string }).error, 'voll – später');
});

test('a server that drains closes the connection', async (t) => {
  const { url } = await serve(t, (req, res) => sendFailure(context(req, res), new ServingError('DRAINING', 'bye')));
  const answer = await fetch(url);
  assert.deepEqual([answer.status, answer.headers.get('connection')], [503, 'close']);
});

test('a client that is still sending its body can read the response, and then the connection closes', async (t) => {
  const { port } = await serve(t, (req, res) => {
    assert.equal(isArriving(req), true);
    sendFailure(context(req, res), new ServingError('TOO_LARGE', 'too large'));
  });
  const client = connect({ port });
  client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n');
  const piece = 'x'.repeat(100_000);
  client.send(piece);
  const { status, headers } = await client.answer();
  assert.deepEqual([status, headers.connection], [413, 'close']);
  for (let i = 0; i < 9; i++) client.send(piece);
  await client.closed;
});

test('a client that is refused under load keeps its connection, if the rest of its body is short', async (t) => {
  const { port } = await serve(
    t,
    (req, res) => sendFailure(context(req, res), new ServingError('OVERLOADED', 'full', { retryAfter: 3 })),
    DirectMessage,
  );
  const client = connect({ port });
  for (const length of [10, 65_536]) {
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    const { status, headers } = await client.answer();
    assert.deepEqual([status, headers['retry-after'], headers.connection], [429, '3', 'keep-alive']);
    client.send('x'.repeat(length));
  }
  client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n');
  assert.equal((await client.answer()).headers.connection, 'close');
});

test('a body that was being read when the error came is read to its end, and then the connection closes', async (t) => {
  const { port } = await serve(
    t,
    (req, res) => {
      readBody(req, 1_000_000).catch(() => {});
      setImmediate(() => sendFailure(context(req, res), new ServingError('REQUEST_TIMEOUT', 'too slow')));
    },
    DirectMessage,
  );
  const client = connect({ port });
  client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
  assert.equal((await client.answer()).status, 408);
  const started = performance.now();
  client.send('remain');
  await client.closed;
  assert.ok(performance.now() - started < 1500, 'at its end, not when the patience is over');
});

test('when the head of a response has been sent, an error closes the connection: half a response must not look complete', async (t) => {
  const { port } = await serve(t, (req, res) => {
    res.write('half', () => sendFailure(context(req, res), new ServingError('INTERNAL', 'x')));
  });
  const client = connect({ port });
  client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  // Not followed by the empty chunk that ends a body.
  assert.match(await client.closed, /4\r\nhalf\r\n$/);
});

test('a request without a body, or whose body has arrived, is not arriving', async (t) => {
  const seen: boolean[] = [];
  const { url } = await serve(t, async (req, res) => {
    for await (const _ of req);
    seen.push(isArriving(req));
    res.end();
  });
  await fetch(url);
  await fetch(url, { method: 'POST', body: 'x' });
  assert.deepEqual(seen, [false, false]);
  assert.equal(
    isArriving({ complete: false, rawBody: Buffer.of(), headers: { 'content-length': '5' } } as never),
    false,
  );
});
