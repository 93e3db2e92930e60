import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { ServingError } from '../../../functions/errors.ts';
import { BodyBudget } from '../../../functions/http/body/body-budget.ts';
import { DirectMessage } from '../../../functions/http/body/direct-message.ts';
import type { PieceReader } from '../../../functions/http/body/pieces.ts';
import { createTurns } from '../../../functions/http/connection/turns.ts';
import { type RequestContext, sendBytes, sendJson } from '../../../functions/http/request-context.ts';
import { createRouter, type Route } from '../../../functions/http/router.ts';
import { connect, postText, type RawConnection } from '../../helpers/raw-http.ts';
import { serve } from '../../helpers/serve.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { until } from '../../helpers/until.ts';

const TIMEOUT_MS = 60;
const LIMIT = 2_000_000;
/** More than the kernel takes for a client that does not read. */
const LARGE = 32 * 2 ** 20;

/** What a handler does with the body that it has read. */
const HANDLERS = [
  'answer',
  'fail',
  'hang',
  'answer at length',
  'answer unread',
  'answer at length unread',
  'stream',
] as const;
type HandlerKind = (typeof HANDLERS)[number];

/** What happens before the body is read. */
const AUTHORIZATIONS = [
  'at once',
  'after some turns',
  'past the deadline',
  'refused',
  'refused after some turns',
] as const;
type AuthorizationKind = (typeof AUTHORIZATIONS)[number];

async function authorizeAs(kind: AuthorizationKind): Promise<void> {
  // Some of the body is here by then.
  if (kind.endsWith('after some turns')) for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  if (kind === 'past the deadline') await new Promise((resolve) => setTimeout(resolve, 1.5 * TIMEOUT_MS));
  if (kind.startsWith('refused')) throw new ServingError('UNAUTHORIZED', 'no token');
}

const STREAMED = { kind: 'streamed', limit: LIMIT, bufferedTypes: ['a/b'], streamTypes: ['application/json'] } as const;

async function start(t: TestContext, requestTimeoutMs = TIMEOUT_MS) {
  const telemetry = recordTelemetry();
  const budget = new BodyBudget(100 * LIMIT);
  const blob = Buffer.alloc(LARGE);
  const bodies: Buffer[] = [];
  async function handle(kind: HandlerKind, context: RequestContext, body: Buffer): Promise<void> {
    // A copy: the memory of a body is freed once its response is complete.
    bodies.push(Buffer.from(body));
    if (kind === 'fail') throw new Error('failed');
    if (kind === 'hang') await new Promise(() => {});
    if (kind === 'answer at length') sendBytes(context, 200, ['Content-Type', 'x/y'], [blob]);
    else sendJson(context, 200, String(body.length));
  }
  const routes = HANDLERS.map((kind): Route => {
    const address = { method: 'POST', path: `/${kind.replaceAll(' ', '-')}` } as const;
    if (kind === 'answer unread') return { ...address, handle: (context) => sendJson(context, 200, '{}') };
    if (kind === 'answer at length unread') {
      return { ...address, handle: (context) => sendBytes(context, 200, ['Content-Type', 'x/y'], [blob]) };
    }
    if (kind === 'stream') {
      return { ...address, body: STREAMED, handle: (context, body) => countPieces(context, body as PieceReader) };
    }
    const body = { kind: 'buffered', limit: LIMIT, inflates: true } as const;
    return { ...address, body, handle: (context, bytes) => handle(kind, context, bytes) };
  });
  const options = {
    requestTimeoutMs,
    logRequests: 'failed',
    draining: () => false,
    budget,
    authorize: ({ req }: RequestContext) => {
      const kind = req.headers['x-authorization'] as AuthorizationKind | undefined;
      return kind === undefined || kind === 'at once' ? undefined : authorizeAs(kind);
    },
  } as const;
  const router = createRouter(routes, { ...options, ...telemetry });
  let open = 0;
  const turns = createTurns((req, res) => {
    open++;
    res.once('close', () => open--);
    router(req, res);
  }, telemetry.metrics.connectionClosed);
  const server = await serve(t, turns.handler, DirectMessage);
  t.after(() => telemetry.metrics.close());
  return { ...server, ...telemetry, budget, bodies, open: () => open };
}

/** Answers with the length of the body, and fails where it is not as it was sent. */
async function countPieces(context: RequestContext, reader: PieceReader): Promise<void> {
  let length = 0;
  // A stream has no deadline, and an idle time of its own.
  const idle = setTimeout(() => reader.stop(), TIMEOUT_MS);
  for (let piece = await reader.next(); piece !== undefined; piece = await reader.next()) {
    assert.ok(piece.equals(textOf(length, piece.length)));
    length += piece.length;
    idle.refresh();
  }
  clearTimeout(idle);
  if (!context.cancellation.cancelled) sendJson(context, 200, String(length));
}

/** Part of a body: what it holds differs at every byte of it, so that a lost piece shows. */
const textOf = (from: number, length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => ((from + i) * 2_654_435_761) >>> 24));

interface Scenario {
  readonly handler: HandlerKind;
  readonly authorization: AuthorizationKind;
  readonly gzip: boolean;
  readonly chunked: boolean;
  readonly bytes: number;
  /** How much of the request is sent, headers included, before `end`. */
  readonly part: number;
  readonly reads: boolean;
  readonly end: 'close' | 'reset' | 'half-close' | 'stay';
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  handler: fc.constantFrom(...HANDLERS),
  authorization: fc.constantFrom(...AUTHORIZATIONS),
  gzip: fc.boolean(),
  chunked: fc.boolean(),
  bytes: fc.constantFrom(1, 1000, 70_000, 300_000, 1_500_000),
  part: fc.oneof(
    fc.constant(1),
    fc.integer({ min: 0, max: 99 }).map((percent) => percent / 100),
  ),
  reads: fc.boolean(),
  end: fc.constantFrom('close', 'reset', 'half-close', 'stay'),
});

function requestOf({ handler, authorization, gzip, chunked, bytes }: Scenario): Buffer {
  const plain = textOf(0, bytes);
  const body = gzip ? gzipSync(plain, { level: 0 }) : plain;
  const head = postText(`/${handler.replaceAll(' ', '-')}`, '', {
    'content-encoding': gzip ? 'gzip' : undefined,
    'content-length': chunked ? undefined : String(body.length),
    'transfer-encoding': chunked ? 'chunked' : undefined,
    'x-authorization': authorization,
  });
  if (!chunked) return Buffer.concat([Buffer.from(head), body]);
  const half = body.length >> 1;
  const chunks = [body.subarray(0, half), body.subarray(half), Buffer.alloc(0)].filter(
    ({ length }, i) => length > 0 || i === 2,
  );
  const framed = chunks.flatMap((chunk) => [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n']);
  return Buffer.concat([head, ...framed].map((each) => (typeof each === 'string' ? Buffer.from(each) : each)));
}

async function play(port: number, one: Scenario): Promise<RawConnection> {
  const client = connect({ port });
  await once(client.socket, 'connect');
  if (!one.reads) client.socket.pause();
  const bytes = requestOf(one);
  const part = bytes.subarray(0, Math.round(bytes.length * one.part));
  if (part.length > 0) client.send(part);
  // The server has begun by then, or has nothing to begin.
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  if (one.end === 'close') client.destroy();
  else if (one.end === 'reset') client.socket.resetAndDestroy();
  else if (one.end === 'half-close') client.socket.end();
  return client;
}

test('whatever a client sends, cuts off or does not read, and however long its authorization takes, no byte of a body is lost and all that it had reserved is released', {
  timeout: 120_000,
}, async (t) => {
  const { port, budget, bodies, open } = await start(t);
  await fc.assert(
    fc.asyncProperty(fc.array(scenario, { minLength: 60, maxLength: 60 }), async (scenarios) => {
      const clients = await Promise.all(scenarios.map((one) => play(port, one)));
      // The server comes to an end with those who stay, too.
      await until(() => open() === 0 && budget.used === 0, 'the end of all that was begun', 20_000);
      for (const client of clients) client.destroy();
      await until(() => open() === 0 && budget.used === 0, 'the end of what came late', 20_000);
      const sent = new Set(scenarios.map(({ bytes }) => bytes));
      for (const body of bodies.splice(0)) {
        assert.ok(sent.has(body.length), `a body of ${body.length} bytes`);
        assert.ok(body.equals(textOf(0, body.length)));
      }
    }),
    { numRuns: 5, endOnFailure: true },
  );
});

test('a body that does not arrive gets 408, its connection is closed, and its reservation is released', async (t) => {
  const { port, budget, metrics } = await start(t);
  const clients = Array.from({ length: 5 }, () => connect({ port }));
  for (const client of clients) {
    client.send(postText('/answer', 'x'.repeat(100), { 'content-length': String(LIMIT) }));
    assert.equal((await client.answer()).status, 408);
  }
  await Promise.all(clients.map(({ closed }) => closed));
  await until(() => budget.used === 0, 'the release');
  const honest = connect({ port });
  honest.send(postText('/answer', 'y'.repeat(LIMIT)));
  assert.equal((await honest.answer()).body, String(LIMIT));
  honest.destroy();
  assert.doesNotMatch((await metrics.render()).text, /requests_rejected_total\{reason="overloaded"\} [^0]/);
});

test('the connection of a response that is not read is closed after the idle time, and its body keeps its reservation until then', async (t) => {
  const { port, budget, metrics } = await start(t);
  const client = connect({ port });
  client.socket.pause();
  client.send(postText('/answer-at-length', 'x'.repeat(100_000)));
  await until(() => budget.used === 100_000, 'the body');
  await until(() => budget.used === 0, 'the release');
  client.destroy();
  assert.match((await metrics.render()).text, /http_connections_closed_total\{reason="response_not_read"\} 1/);
});

test('a response that is read slowly is not cut off, although it takes longer than the idle time', async (t) => {
  const idleMs = 1000;
  const { port, metrics } = await start(t, idleMs);
  const socket = createConnection(port, '127.0.0.1');
  socket.write(postText('/answer-at-length', 'x'));
  // With a dozen pauses that are well within the idle time, and longer than it in all.
  let read = 0;
  let pausedAt = 0;
  for await (const piece of socket) {
    read += (piece as Buffer).length;
    if (read >= LARGE) break;
    if (read - pausedAt < LARGE / 12) continue;
    pausedAt = read;
    await new Promise((resolve) => setTimeout(resolve, idleMs / 10));
  }
  assert.ok(read >= LARGE);
  assert.match((await metrics.render()).text, /http_connections_closed_total\{reason="response_not_read"\} 0/);
});

test('a refused body that does not arrive is counted as body_not_sent, and not as response_not_read', async (t) => {
  const { port, metrics } = await start(t);
  const client = connect({ port });
  client.send(postText('/answer', 'x', { 'content-length': String(LIMIT + 1) }));
  assert.equal((await client.answer()).status, 413);
  await client.closed;
  const { text } = await metrics.render();
  assert.match(text, /http_connections_closed_total\{reason="body_not_sent"\} 1/);
  assert.match(text, /http_connections_closed_total\{reason="response_not_read"\} 0/);
});

test('a body that arrives slowly behind its response is cut off after the idle time', async (t) => {
  const { port, metrics } = await start(t);
  const client = connect({ port });
  client.send(postText('/answer-unread', 'x', { 'content-length': '1000' }));
  assert.equal((await client.answer()).status, 200);
  const trickle = setInterval(() => client.send('x'), TIMEOUT_MS / 10);
  await client.closed;
  clearInterval(trickle);
  assert.match((await metrics.render()).text, /http_connections_closed_total\{reason="body_not_sent"\} 1/);
});

test('a response that is not read is ended although its client continues to send', async (t) => {
  const { port, open } = await start(t);
  const client = connect({ port });
  client.socket.pause();
  client.send(postText('/answer-at-length-unread', 'x', { 'content-length': '100000' }));
  await until(() => open() === 1, 'the request');
  const trickle = setInterval(() => client.send('x'), TIMEOUT_MS / 10);
  await until(() => open() === 0, 'the end of its connection');
  clearInterval(trickle);
  client.destroy();
});

test('a response that is not read is ended although its client, whose request is complete, sends empty lines', async (t) => {
  const { port, open, metrics } = await start(t);
  const client = connect({ port });
  client.socket.pause();
  client.send(postText('/answer-at-length', 'x'));
  await until(() => open() === 1, 'the request');
  const trickle = setInterval(() => client.send('\r\n'), TIMEOUT_MS / 10);
  await until(() => open() === 0, 'the end of its connection', 10_000).finally(() => clearInterval(trickle));
  client.destroy();
  assert.match((await metrics.render()).text, /http_connections_closed_total\{reason="response_not_read"\} 1/);
});

test('a body that arrives in time behind its response leaves the connection open for the next request', async (t) => {
  const { port } = await start(t);
  const client = connect({ port });
  client.send(postText('/answer-unread', 'x', { 'content-length': '1000' }));
  assert.equal((await client.answer()).status, 200);
  client.send('x'.repeat(999) + postText('/answer', 'xy'));
  assert.equal((await client.answer()).body, '2');
  client.destroy();
});
