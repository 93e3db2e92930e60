import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { metric, predict } from '../../helpers/calls.ts';
import { useHost } from '../../helpers/hosts.ts';
import { connect, postText, type RawConnection } from '../../helpers/raw-http.ts';

const LIMIT = 2 ** 20;
const GIB = 2 ** 30;
const ROW = [5.1, 3.5, 1.4, 0.2];
const CHUNK = `10000\r\n${'x'.repeat(65_536)}\r\n`;

/** Bodies that a parser or an inflater may choke on. */
const BODIES: [title: string, body: string | Buffer, headers?: Record<string, string>][] = [
  ['a million open brackets', '['.repeat(1_000_000)],
  ['objects nested 200,000 deep', '{"a":'.repeat(200_000)],
  ['features nested 100 deep', `{"features":${'['.repeat(100)}${']'.repeat(100)}}`],
  ['an object of 100,000 keys', `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}":1`)}}`],
  ['an object of 150,000 equal keys', `{${'"a":1,'.repeat(150_000)}"a":1}`],
  ['__proto__ with the features', '{"__proto__":{"features":[1,2,3,4]}}'],
  ['__proto__ as a feature', '{"features":{"__proto__":{"polluted":1}}}'],
  ['constructor.prototype', '{"constructor":{"prototype":{"features":[1,2,3,4],"polluted":1}}}'],
  ['a number beyond a double', '{"features":[1e999,1,1,1]}'],
  ['an integer of 500,000 digits', `{"features":[${'9'.repeat(500_000)},1,1,1]}`],
  ['an exponent of 500,000 digits', `{"features":[1e${'9'.repeat(500_000)},1,1,1]}`],
  ['a lone surrogate', '{"features":["\\ud800",1,1,1]}'],
  ['a lone surrogate as a key', '{"features":{"\\udfff":1}}'],
  ['a surrogate in UTF-8', Buffer.from('{"features":["\xed\xa0\x80",1,1,1]}', 'latin1')],
  ['UTF-16 with a byte order mark', Buffer.from('\ufeff{"features":[5.1,3.5,1.4,0.2]}', 'utf16le')],
  ['UTF-16 without one', Buffer.from('{"features":[5.1,3.5,1.4,0.2]}', 'utf16le')],
  ['a million blanks and nothing else', ' '.repeat(1_000_000)],
  ['a NUL', '{"features":[5.1,3.5,1.4,0.2]}\0'],
  ['gzip twice', gzipSync(gzipSync('{}')), { 'content-encoding': 'gzip, gzip' }],
  ['gzip in x-gzip', gzipSync('{}'), { 'content-encoding': 'x-gzip' }],
];

/** Sends until the server has responded, or `total` bytes are sent; gives the bytes that were sent. */
async function sendUntilAnswered(connection: RawConnection, piece: string, total: number): Promise<number> {
  const { socket } = connection;
  let answered = false;
  socket.once('data', () => {
    answered = true;
  });
  let sent = 0;
  for (; sent < total && !answered && !socket.destroyed; sent += piece.length) {
    if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), once(socket, 'data'), once(socket, 'close')]);
  }
  return sent;
}

/** Bodies that are meant to hurt. */
export function attacks(): void {
  describe('bodies that are meant to hurt', { concurrency: 1 }, () => {
    const host = useHost('container', () => ({ MAX_BODY_BYTES: String(LIMIT), INFERENCE_PROCESSES: '1' }));

    for (const [title, body, headers] of BODIES) {
      test(`${title}: 4xx in the error shape, and the next request gets its prediction`, async () => {
        const connection = connect(host());
        const head = postText('/predict', '', { 'content-length': String(Buffer.byteLength(body)), ...headers });
        connection.send(Buffer.concat([Buffer.from(head), Buffer.from(body)]));
        const { status, body: text } = await connection.answer();
        assert.ok(status >= 400 && status < 500, `${status} ${text}`);
        const { error, code, request_id } = JSON.parse(text);
        assert.deepEqual([typeof error, typeof code, typeof request_id], ['string', 'string', 'string']);
        assert.ok(error.length < 600, error);
        connection.destroy();
        const { status: next, json } = await predict(host(), ROW);
        assert.deepEqual([next, json().label], [200, 'setosa']);
      });
    }

    test('a gzip bomb to a route that inflates is refused with 413, and takes no memory', async () => {
      const before = await metric(host(), 'process_resident_memory_bytes');
      const bomb = gzipSync(Buffer.alloc(256 * 2 ** 20));
      assert.ok(bomb.length < LIMIT);
      const connection = connect(host());
      const headers = { 'content-encoding': 'gzip', 'content-length': String(bomb.length) };
      connection.send(Buffer.concat([Buffer.from(postText('/v2/models/iris/infer', '', headers)), bomb]));
      assert.equal((await connection.answer()).status, 413);
      connection.destroy();
      const grown = (await metric(host(), 'process_resident_memory_bytes')) - before;
      assert.ok(grown < 10 * 2 ** 20, `the server grew by ${grown} bytes`);
    });

    for (const [title, headers, piece] of [
      ['that is declared', { 'content-length': String(GIB) }, 'x'.repeat(65_536)],
      ['in chunks', { 'content-length': undefined, 'transfer-encoding': 'chunked' }, CHUNK],
    ] as const) {
      test(`a body of 1 GiB ${title} is refused with 413 before much of it is sent, and takes no memory`, async () => {
        const before = await metric(host(), 'process_resident_memory_bytes');
        const connection = connect(host());
        connection.send(postText('/predict', '', headers));
        const sent = await sendUntilAnswered(connection, piece, GIB);
        assert.ok(sent < 32 * 2 ** 20, `${sent} bytes were sent`);
        const { status, headers: given } = await connection.answer();
        assert.deepEqual([status, given.connection], [413, 'close']);
        const grown = (await metric(host(), 'process_resident_memory_bytes')) - before;
        assert.ok(grown < 10 * 2 ** 20, `the server grew by ${grown} bytes`);
        connection.destroy();
      });
    }
  });
}
