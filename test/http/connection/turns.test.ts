import assert from 'node:assert/strict';
import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { DirectMessage } from '../../../functions/http/body/direct-message.ts';
import { readBody } from '../../../functions/http/body/read-body.ts';
import { createTurns } from '../../../functions/http/connection/turns.ts';
import type { RequestHandler } from '../../../functions/http/router.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { serve } from '../../helpers/serve.ts';
import { until } from '../../helpers/until.ts';

const inTurn = (handler: RequestHandler): RequestHandler => createTurns(handler, assert.fail).handler;

interface Begun {
  readonly url: string;
  readonly res: ServerResponse;
}

/** Answers nothing by itself: the requests that have begun are kept. */
async function serveHeld(t: TestContext, message?: typeof IncomingMessage) {
  const begun: Begun[] = [];
  const handler = inTurn((req, res) => void begun.push({ url: req.url!, res }));
  return { ...(await serve(t, handler, message)), begun };
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;

test('pipelined requests are handled one at a time, and their responses are sent in order', async (t) => {
  const { port, begun } = await serveHeld(t);
  const client = connect({ port });
  const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
  client.send(paths.map(get).join(''));
  for (const [i, path] of paths.entries()) {
    await until(() => begun.length === i + 1, 'the request');
    assert.equal(begun[i]!.url, path);
    begun[i]!.res.end(path);
    assert.equal((await client.answer()).body, path);
  }
  client.destroy();
});

test('a thousand pipelined requests get a thousand responses, and those of another connection are handled between them', async (t) => {
  let done = 0;
  const doneBeforeOther: number[] = [];
  const { port } = await serve(
    t,
    inTurn((req, res) => {
      if (req.url === '/other') doneBeforeOther.push(done);
      else done++;
      res.end(req.url);
    }),
    DirectMessage,
  );
  const [client, other] = [connect({ port }), connect({ port })];
  const paths = Array.from({ length: 1000 }, (_, i) => `/${i}`);
  other.send(get('/other'));
  await other.answer();
  client.send(paths.map(get).join(''));
  other.send(get('/other'));
  await other.answer();
  for (const path of paths) assert.equal((await client.answer()).body, path);
  assert.ok(doneBeforeOther[1]! < 1000, `${doneBeforeOther[1]} of 1000 were done first`);
  client.destroy();
  other.destroy();
});

test('the bodies of requests that wait are complete when their turn comes, whatever their length', async (t) => {
  for (const message of [undefined, DirectMessage]) {
    const { port } = await serve(
      t,
      inTurn(async (req, res) => {
        await new Promise(setImmediate);
        const body = await readBody(req, 1_000_000);
        res.end(`${body.length} ${body.reduce((sum, byte) => sum + byte, 0)}`);
      }),
      message,
    );
    const client = connect({ port });
    const sizes = [0, 5, 100, 70_000, 1, 500_000, 3];
    client.send(sizes.map((size) => postText('/', '\x01'.repeat(size))).join(''));
    for (const size of sizes) assert.equal((await client.answer()).body, `${size} ${size}`);
    client.destroy();
  }
});

test('nothing is read from a connection whose requests wait', async (t) => {
  const { port, begun } = await serveHeld(t);
  const client = connect({ port });
  const many = get('/').repeat(400_000);
  client.send(many);
  await until(() => begun.length === 1, 'the first');
  // Of what the client sends there are two pieces of 64 KiB here at most; the rest waits in the kernel, and in the client.
  begun[0]!.res.end();
  await until(() => begun.length === 2, 'the second');
  const { bytesRead } = begun[1]!.res.socket!;
  assert.ok(bytesRead > 0 && bytesRead < 200_000, `${bytesRead} bytes read`);
  client.destroy();
});

test('requests that wait are not begun when their client has left', async (t) => {
  const { port, begun } = await serveHeld(t);
  const client = connect({ port });
  client.send(get('/').repeat(100));
  await until(() => begun.length === 1, 'the first');
  const closed = new Promise((resolve) => begun[0]!.res.once('close', resolve));
  begun[0]!.res.socket!.destroy();
  await closed;
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.equal(begun.length, 1);
});

test('requests behind one that closes the connection are not begun', async (t) => {
  const { port, begun } = await serveHeld(t);
  const client = connect({ port });
  client.send(get('/').repeat(3));
  await until(() => begun.length === 1, 'the first');
  begun[0]!.res.shouldKeepAlive = false;
  begun[0]!.res.end('last');
  assert.match(await client.closed, /last$/);
  assert.equal(begun.length, 1);
});

test('the number of waiting requests of all connections is bounded: a connection that sends one too many is closed', async (t) => {
  const begun: Begun[] = [];
  const reasons: string[] = [];
  let made = 0;
  class Counted extends IncomingMessage {
    constructor(socket: Socket) {
      super(socket);
      made++;
    }
  }
  const turns = createTurns(
    (req, res) => void begun.push({ url: req.url!, res }),
    (reason) => void reasons.push(reason),
    10,
  );
  const { port } = await serve(t, turns.handler, Counted);
  const patient = connect({ port });
  patient.send(Array.from({ length: 6 }, (_, i) => get(`/${i}`)).join(''));
  await until(() => begun.length === 1, 'the first');
  // The requests of a closed connection wait no longer: five more may each time.
  for (let i = 1; i <= 3; i++) {
    const greedy = connect({ port });
    made = 0;
    greedy.send(get('/greedy').repeat(1000));
    assert.equal(await greedy.closed, '');
    assert.equal(reasons.length, i);
    // One is begun, five wait, one is too many, and the parsing ends with the next.
    assert.equal(made, 1 + 5 + 1 + 1);
  }
  assert.deepEqual(new Set(reasons), new Set(['too_many_pipelined']));
  begun[0]!.res.end();
  await patient.answer();
  for (let i = 1; i < 6; i++) {
    const { res } = await until(() => begun.find(({ url }) => url === `/${i}`), 'its turn');
    res.end(`answer ${i}`);
    assert.equal((await patient.answer()).body, `answer ${i}`);
  }
  const modest = connect({ port });
  modest.send(get('/modest').repeat(11));
  await until(() => begun.at(-1)!.url === '/modest', 'the first of eleven');
  assert.equal(reasons.length, 3);
  patient.destroy();
  modest.destroy();
});
