import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { metric, predict } from '../../helpers/calls.ts';
import { type Host, useHost } from '../../helpers/hosts.ts';
import { connect, postText, type RawConnection } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const IDLE_MS = 2000;
const ROW = '{"features":[5.1,3.5,1.4,0.2]}\n';
const BLOCK = ROW.repeat(2048);
const CHUNKED = { 'content-type': 'application/x-ndjson', 'content-length': undefined, 'transfer-encoding': 'chunked' };
const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
/** Bytes: so few that a client that is held back has sent little more than what was taken. */
const LARGE = 2 ** 20;
const LARGE_CHUNK = chunk(ROW.repeat(LARGE / ROW.length));
/** What a client still sends once it was held back: little, as the server takes it for a bounded time. */
const REST = `${chunk(BLOCK).repeat(4)}0\r\n\r\n`;
/** Bytes: more than the kernel and the server take of a client that does not read. */
const ENOUGH = 36 * 2 ** 20;

const predictions = (host: Host): Promise<number> => metric(host, 'predictions_total');

/**
 * Sends chunks until the server, held back by a client that does not read, has ended the stream and counted its rows: from then on
 * it receives and discards the rest, for a while. Returns the bytes sent before the last chunk; undefined if the server took all.
 */
async function sendUntilEnded(host: Host, socket: RawConnection['socket']): Promise<number | undefined> {
  const before = await predictions(host);
  const cut = once(socket, 'close').catch(() => {});
  for (let sent = 0; sent < ENOUGH; sent += LARGE) {
    if (!socket.write(LARGE_CHUNK)) await Promise.race([once(socket, 'drain').catch(() => {}), cut]);
    if ((await predictions(host)) > before) return sent;
  }
  return undefined;
}

interface Stopped {
  readonly done: boolean;
  readonly next_index: number;
  readonly code: string;
  readonly message: string;
}

/** The rows of a stream that was ended early, and its last line, by which a client goes on. */
function readStopped(body: string): { rows: number; last: Stopped } {
  const lines = body.trimEnd().split('\n');
  const last = JSON.parse(lines.pop()!) as Stopped;
  assert.match(lines.at(-1) ?? '{"index":0,', new RegExp(`^\\{"index":${Math.max(0, lines.length - 1)},`));
  return { rows: lines.length, last };
}

/** Clients that stand still. REQUEST_TIMEOUT_MS is the time they have. */
export function idling(): void {
  describe('idle clients', { concurrency: 1 }, () => {
    const host = useHost('container', () => ({ REQUEST_TIMEOUT_MS: String(IDLE_MS), INFERENCE_PROCESSES: '1' }));

    for (const [path, type] of [
      ['/predict', 'application/json'],
      ['/batch_predict', 'application/json'],
    ] as const) {
      test(`half a body to ${path} is answered with 408`, async () => {
        const connection = connect(host());
        connection.send(postText(path, '{"features":', { 'content-type': type, 'content-length': '100' }));
        const { status, headers, body } = await connection.answer();
        assert.deepEqual([status, headers.connection, JSON.parse(body).code], [408, 'close', 'REQUEST_TIMEOUT']);
        connection.destroy();
      });
    }

    test('a stream on which nothing more comes is ended with a line that says so', async () => {
      const connection = connect(host());
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': '10000' };
      connection.send(postText('/batch_predict', ROW.repeat(3), headers));
      const { rows, last } = readStopped((await connection.answer()).body);
      assert.deepEqual([rows, last.done, last.next_index, last.code], [3, false, 3, 'IDLE']);
      assert.match(last.message, /nothing was sent for 2000 ms/);
      // Nothing but the rest of its body could come on it.
      await connection.closed;
    });

    test('a stream on which a row trickles in byte by byte is ended with a line that says so; complete rows keep it open', async () => {
      const [trickling, working] = [connect(host()), connect(host())];
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': '1000000' };
      for (const connection of [trickling, working]) connection.send(postText('/batch_predict', ROW, headers));
      const trickle = setInterval(() => {
        trickling.send(' ');
        working.send(ROW);
      }, 100);
      const { rows, last } = readStopped((await trickling.answer()).body);
      assert.deepEqual([rows, last.done, last.next_index, last.code], [1, false, 1, 'IDLE']);
      assert.match(last.message, /neither a row nor 16384 bytes of one was sent for 2000 ms/);
      await working.text('"index":15,');
      clearInterval(trickle);
      for (const connection of [trickling, working]) connection.destroy();
    });

    test('a body that trickles in where none is read is cut off', async () => {
      const connection = connect(host());
      connection.send('GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
      assert.equal((await connection.answer()).status, 200);
      const trickle = setInterval(() => connection.send('x'), 50);
      await connection.closed;
      clearInterval(trickle);
      assert.ok((await metric(host(), 'http_connections_closed_total', { reason: 'body_not_sent' })) >= 1);
    });

    test('a client that goes on sending after its stream was ended is cut off', async () => {
      const connection = connect(host());
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': String(2 ** 40) };
      connection.send(postText('/batch_predict', ROW, headers));
      assert.equal(readStopped((await connection.answer()).body).last.code, 'IDLE');
      const { socket } = connection;
      // As fast as it is taken: the rest of the upload never ends by itself.
      const more = (): void => {
        while (socket.writable && socket.write(BLOCK));
      };
      socket.on('drain', more);
      more();
      await connection.closed;
      assert.equal((await predict(host(), [1, 2, 3, 4])).status, 200);
    });

    test('a client that sends everything before it reads is not hung: it is told where to go on', async () => {
      const before = await metric(host(), 'process_resident_memory_bytes');
      const connection = connect(host());
      const { socket } = connection;
      socket.pause();
      socket.write(postText('/batch_predict', '', CHUNKED));
      const sent = await sendUntilEnded(host(), socket);
      assert.ok(sent !== undefined, 'a client that does not read is held back');
      assert.ok(sent < 30 * 2 ** 20, `${sent} bytes were taken of a client that does not read`);
      const grown = (await metric(host(), 'process_resident_memory_bytes')) - before;
      assert.ok(grown < 60 * 2 ** 20, `the server grew by ${grown} bytes`);

      // It ends its body, and reads.
      socket.write(REST);
      socket.resume();
      const { rows, last } = readStopped((await connection.answer()).body);
      assert.deepEqual([last.done, last.code, last.next_index], [false, 'IDLE', rows]);
      assert.match(last.message, /the response was not read for 2000 ms/);
      assert.ok(rows > 0);
      connection.destroy();
      assert.equal((await predict(host(), [1, 2, 3, 4])).status, 200);
    });

    test('a client that never reads does not keep its request open', async () => {
      const asked = { route: '/batch_predict', method: 'POST' };
      const before = await metric(host(), 'http_requests_total', asked);
      const connection = connect(host());
      const { socket } = connection;
      socket.pause();
      socket.write(postText('/batch_predict', '', CHUNKED));
      assert.ok((await sendUntilEnded(host(), socket)) !== undefined, 'it is held back');
      await until(async () => (await metric(host(), 'http_requests_total', asked)) > before, 'its end');
      connection.destroy();
    });
  });
}
