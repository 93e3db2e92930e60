import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { ServingError } from '../../../functions/errors.ts';
import { DirectMessage } from '../../../functions/http/body/direct-message.ts';
import { readBody, refuseEncoding, requireMediaType } from '../../../functions/http/body/read-body.ts';
import { connect } from '../../helpers/raw-http.ts';
import { serve } from '../../helpers/serve.ts';

const LIMIT = 1_000_000;

/** Answers with the size of the body and the sum of its bytes, or with the code of the error. */
async function serveBodies(t: TestContext, message: typeof IncomingMessage) {
  const ends: string[] = [];
  const server = await serve(
    t,
    async (req, res) => {
      try {
        const body = await readBody(req, LIMIT);
        ends.push(`${body.length} ${body.reduce((sum, byte) => sum + byte, 0)}`);
      } catch (error) {
        ends.push((error as ServingError).code);
        res.shouldKeepAlive = false;
      }
      res.end(ends.at(-1));
    },
    message,
  );
  return { ...server, ends };
}

for (const message of [IncomingMessage, DirectMessage]) {
  const by = `(${message.name})`;

  test(`a body arrives completely, with or without a declared length, in one piece or in many ${by}`, async (t) => {
    const { port } = await serveBodies(t, message);
    const client = connect({ port });
    for (const size of [0, 1, 7, 1000, 70_000, LIMIT]) {
      const body = Buffer.alloc(size, 1);
      for (const pieces of [1, 3]) {
        client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`);
        for (let i = 0; i < pieces; i++) {
          client.send(body.subarray((i * size) / pieces, ((i + 1) * size) / pieces));
          if (i < pieces - 1) await new Promise((resolve) => setImmediate(resolve));
        }
        assert.equal((await client.answer()).body, `${size} ${size}`);
        client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
        if (size > 0) {
          client.send(`${size.toString(16)}\r\n`);
          client.send(body);
          client.send('\r\n');
        }
        client.send('0\r\n\r\n');
        assert.equal((await client.answer()).body, `${size} ${size}`);
      }
    }
    client.destroy();
  });

  test(`what follows a text of known length starts at a multiple of 8 bytes, wherever the body is put together ${by}`, async (t) => {
    const offsets: number[] = [];
    const { port } = await serve(
      t,
      async (req, res) => {
        const textBytes = Number(req.headers['x-text']);
        const body = await readBody(req, LIMIT, undefined, textBytes);
        offsets.push((body.byteOffset + textBytes) % 8);
        res.end(String(body.length));
      },
      message,
    );
    for (let textBytes = 0; textBytes < 9; textBytes++) {
      const body = Buffer.alloc(200_000, 1);
      const headers = { 'x-text': String(textBytes) };
      const answer = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body, headers });
      assert.equal(await answer.text(), '200000');
    }
    assert.deepEqual(new Set(offsets), new Set([0]));
  });

  test(`a body is refused by its declared length before a byte of it is read ${by}`, async (t) => {
    const { port } = await serveBodies(t, message);
    const client = connect({ port });
    client.send(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`);
    assert.equal((await client.answer()).body, 'TOO_LARGE');
    client.destroy();
  });

  test(`a body of undeclared length is refused once it is beyond the limit ${by}`, async (t) => {
    const { port } = await serveBodies(t, message);
    const client = connect({ port });
    client.send('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const piece = Buffer.alloc(100_000, 1);
    for (let i = 0; i < 11; i++) {
      client.send(`${piece.length.toString(16)}\r\n`);
      client.send(piece);
      client.send('\r\n');
    }
    assert.equal((await client.answer()).body, 'TOO_LARGE');
    client.destroy();
  });

  test(`a client that leaves before its body is complete is distinguished from one that sent it ${by}`, async (t) => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const { port } = await serve(
      t,
      (req) =>
        void readBody(req, LIMIT).then(
          () => resolve('whole'),
          (error: ServingError) => resolve(error.code),
        ),
      message,
    );
    const client = connect({ port });
    client.socket.end('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    assert.equal(await promise, 'CLIENT_GONE');
  });
}

test('a large body of known length lies in memory of its own, to be handed to another thread', async (t) => {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const { url } = await serve(t, async (req, res) => {
    resolve(await readBody(req, LIMIT));
    res.end();
  });
  await fetch(url, { method: 'POST', body: Buffer.alloc(500_000, 1) });
  const body = await promise;
  assert.deepEqual([body.length, body.byteOffset, body.buffer.byteLength], [500_000, 0, 500_000]);
});

const request = (headers: Record<string, string>, rawBody?: Buffer): IncomingMessage =>
  ({ headers, ...(rawBody === undefined ? {} : { rawBody }) }) as unknown as IncomingMessage;

test('a body that the functions framework has read is used unchanged, within the limit', async () => {
  const raw = Buffer.from('{"features":[1]}');
  assert.equal(await readBody(request({ 'content-encoding': 'gzip', 'content-length': '5' }, raw), 100), raw);
  await assert.rejects(async () => readBody(request({}, raw), 15), {
    code: 'TOO_LARGE',
    message: /larger than 15 bytes \(MAX_BODY_BYTES\)/,
  });
});

test('a compressed body is refused, unless the host has inflated it', () => {
  for (const encoding of ['gzip', 'br', 'x'.repeat(500)]) {
    assert.throws(
      () => refuseEncoding(request({ 'content-encoding': encoding })),
      (error: ServingError) => error.code === 'UNSUPPORTED_MEDIA_TYPE' && error.message.length < 100,
    );
  }
  refuseEncoding(request({}));
  refuseEncoding(request({ 'content-encoding': 'identity' }));
  refuseEncoding(request({ 'content-encoding': 'gzip' }, Buffer.of()));
});

test('a content type is taken by its name, whatever its case and parameters; none is the first', () => {
  const types = ['application/json', 'application/x-ndjson'];
  const CASES: [header: string | undefined, type: string | undefined][] = [
    [undefined, 'application/json'],
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    [' application/x-ndjson ;x', 'application/x-ndjson'],
    ['text/plain', undefined],
    ['application/jsonp', undefined],
    ['', undefined],
  ];
  for (const [header, type] of CASES) {
    const req = request(header === undefined ? {} : { 'content-type': header });
    if (type !== undefined) assert.equal(requireMediaType(req, types), type);
    else
      assert.throws(() => requireMediaType(req, types), {
        code: 'UNSUPPORTED_MEDIA_TYPE',
        message: `content-type ${header}: send application/json or application/x-ndjson`,
      });
  }
});
