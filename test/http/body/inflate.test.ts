import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { type TestContext, test } from 'node:test';
import { createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { ServingError } from '../../../functions/errors.ts';
import { BodyBudget, BodyReservation } from '../../../functions/http/body/body-budget.ts';
import { DirectMessage } from '../../../functions/http/body/direct-message.ts';
import { readInflated } from '../../../functions/http/body/inflate.ts';
import { connect } from '../../helpers/raw-http.ts';
import { serve } from '../../helpers/serve.ts';
import { until } from '../../helpers/until.ts';

const LIMIT = 1_000_000;

/** Answers with the body as it was inflated, or with the code of the error. */
async function serveInflated(t: TestContext, message: typeof IncomingMessage, budget = new BodyBudget(100 * LIMIT)) {
  const errors: ServingError[] = [];
  let requests = 0;
  const server = await serve(
    t,
    async (req, res) => {
      requests++;
      const reservation = new BodyReservation(budget);
      try {
        res.end(await readInflated(req, LIMIT, reservation));
      } catch (error) {
        errors.push(error as ServingError);
        req.resume();
        res.end((error as ServingError).code);
      }
    },
    message,
  );
  const post = async (body: Uint8Array, encoding: string): Promise<string> =>
    (await fetch(server.url, { method: 'POST', body, headers: { 'content-encoding': encoding } })).text();
  return { ...server, errors, budget, post, requests: () => requests };
}

for (const message of [IncomingMessage, DirectMessage]) {
  const by = `(${message.name})`;

  test(`a body is inflated by its encoding, and one without an encoding is unchanged ${by}`, async (t) => {
    const { post } = await serveInflated(t, message);
    for (const text of ['', 'x', 'blåbær'.repeat(1000), 'y'.repeat(LIMIT)]) {
      assert.equal(await post(gzipSync(text), 'gzip'), text);
      assert.equal(await post(gzipSync(text), 'X-GZIP'), text);
      assert.equal(await post(deflateSync(text), 'deflate'), text);
      assert.equal(await post(Buffer.from(text), 'identity'), text);
    }
    const members = Buffer.concat([gzipSync('one '), gzipSync('two')]);
    assert.equal(await post(members, 'gzip'), 'one two');
  });
}

test('a body that comes in small pieces is inflated as one', async (t) => {
  const { port } = await serveInflated(t, DirectMessage);
  const client = connect({ port });
  const text = Array.from({ length: 3000 }, (_, i) => i).join();
  const body = gzipSync(text);
  client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
  for (let at = 0; at < body.length; at += 100) {
    client.send(body.subarray(at, at + 100));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await client.answer()).body, text);
  client.destroy();
});

test('what is no such stream, or half of one, or of another encoding is refused', async (t) => {
  const { post, errors } = await serveInflated(t, DirectMessage);
  const whole = gzipSync('a text that is long enough to be cut');
  for (const [body, encoding] of [
    [Buffer.from('{"inputs":[]}'), 'gzip'],
    [whole.subarray(0, whole.length - 9), 'gzip'],
    [Buffer.alloc(0), 'gzip'],
    [whole, 'deflate'],
    [deflateRawSync('raw deflate has no header, and RFC 9110 wants one'), 'deflate'],
  ] as const) {
    assert.equal(await post(body, encoding), 'INVALID_INPUT');
    assert.match(errors.at(-1)!.message, new RegExp(`^the body is not ${encoding}, as Content-Encoding says: `));
  }
  assert.equal(await post(whole, 'br'), 'UNSUPPORTED_MEDIA_TYPE');
  assert.match(errors.at(-1)!.message, /content-encoding br: send the body as gzip, deflate or identity/);
  assert.equal(await post(whole, 'gzip, gzip'), 'UNSUPPORTED_MEDIA_TYPE');
});

test('a bomb is refused once it is beyond the limit, and no more of it than that is kept', async (t) => {
  const { post, errors, budget } = await serveInflated(t, DirectMessage);
  assert.equal(await post(gzipSync(Buffer.alloc(200_000_000)), 'gzip'), 'TOO_LARGE');
  assert.match(errors[0]!.message, /inflates to more than 1000000 bytes \(MAX_BODY_BYTES\)/);
  assert.ok(budget.used <= LIMIT, `${budget.used} bytes were taken`);
  assert.equal(await post(gzipSync(Buffer.alloc(LIMIT + 1)), 'gzip'), 'TOO_LARGE');
});

test('an endless stream that inflates to nothing is refused by its received bytes', async (t) => {
  const { port, errors } = await serveInflated(t, DirectMessage);
  // A flush of nothing is an empty block of 5 bytes.
  const head: Buffer[] = [];
  const gzip = createGzip().on('data', (piece: Buffer) => head.push(piece));
  await new Promise<void>((resolve) => gzip.flush(() => resolve()));
  gzip.destroy();
  const start = Buffer.concat(head);
  const piece = Buffer.concat(Array.from({ length: 20_000 }, () => Buffer.of(0, 0, 0, 0xff, 0xff)));
  const client = connect({ port });
  client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n');
  for (const part of [start, ...Array.from({ length: 11 }, () => piece)]) {
    client.send(`${part.length.toString(16)}\r\n`);
    client.send(part);
    client.send('\r\n');
  }
  await until(() => errors.length > 0, 'a refusal');
  assert.equal(errors[0]!.code, 'TOO_LARGE');
  client.destroy();
});

test('bodies that fill the budget together are refused before they are kept', async (t) => {
  const { post, errors } = await serveInflated(t, DirectMessage, new BodyBudget(0));
  const text = 'z'.repeat(600_000);
  // None is given back here: that is the route's to do.
  assert.equal(await post(gzipSync(text), 'gzip'), text);
  assert.equal(await post(gzipSync(text), 'gzip'), 'OVERLOADED');
  assert.match(errors[0]!.message, /bodies of other requests take all memory/);
});

test('a client that leaves in the middle is gone', async (t) => {
  const { port, errors, requests } = await serveInflated(t, DirectMessage);
  const client = connect({ port });
  const body = gzipSync('half of it');
  client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
  client.send(body.subarray(0, 10));
  await until(() => requests() === 1, 'the request');
  client.destroy();
  await until(() => errors.length > 0, 'the end');
  assert.equal(errors[0]!.code, 'CLIENT_GONE');
});
