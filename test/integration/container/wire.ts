import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { metric, predict } from '../../helpers/calls.ts';
import { useHost } from '../../helpers/hosts.ts';
import { connect, postText } from '../../helpers/raw-http.ts';
import { until } from '../../helpers/until.ts';

const LIMIT = 4096;
const ROW = '{"features":[5.1,3.5,1.4,0.2]}';
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const STREAMED = `${(ROW.length + 1).toString(16)}\r\n${ROW}\n\r\n0\r\n\r\n`;
const STREAM = { 'content-type': 'application/x-ndjson', 'content-length': undefined, 'transfer-encoding': 'chunked' };

/** What the container does on the wire, where the framework would act before the handler. */
export function wire(): void {
  describe('the wire', { concurrency: 4 }, () => {
    const host = useHost('container', () => ({ MAX_BODY_BYTES: String(LIMIT), INFERENCE_PROCESSES: '1' }));

    test('malformed JSON is answered in the error shape, with the byte where it stops being JSON', async () => {
      for (const [body, text] of [
        ['{"features":[1,2', /byte 16.*the end of the body/],
        ['{"features":[1,2,]}', /byte 17.*'\]'/],
        ['', /byte 0/],
        ["{'features':[1,2,3,4]}", /byte 1/],
        ['{"features":[1,2,3,4]} x', /byte 23.*'x'/],
      ] as const) {
        const connection = connect(host());
        connection.send(postText('/predict', body));
        const { status, headers, body: answer } = await connection.answer();
        assert.deepEqual([status, headers['content-type']], [400, 'application/json']);
        const { error, code, request_id } = JSON.parse(answer);
        assert.equal(code, 'INVALID_INPUT');
        assert.match(error, text);
        assert.equal(headers['x-request-id'], request_id);
        connection.send(postText('/predict', ROW));
        assert.equal((await connection.answer()).status, 200, 'the connection serves on');
        connection.destroy();
      }
    });

    test('what is no HTTP is answered in the error shape, and the connection closed', async () => {
      for (const [bytes, status] of [
        ['\0\x01\x02 nonsense\r\n\r\n', 400],
        ['GET /health HTTP/1.1\r\n\r\n', 400],
        ['GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
        ['GET /health HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n', 400],
        ['GET /health HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n', 400],
        ['POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', 400],
        ['POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
        [`GET /health HTTP/1.1\r\nHost: a\r\nLong: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
      ] as const) {
        const connection = connect(host());
        connection.send(bytes);
        const answer = await connection.answer();
        assert.deepEqual(
          [answer.status, answer.headers.connection],
          [status, 'close'],
          JSON.stringify(bytes.slice(0, 60)),
        );
        assert.ok(JSON.parse(answer.body).error.length > 5);
        await connection.closed;
      }
    });

    test('what is no HTTP is counted, and its log lines are bounded', async () => {
      const bad = () => metric(host(), 'http_connections_closed_total', { reason: 'bad_request' });
      const logged = () => host().lines.filter((line) => line.includes('not an HTTP/1.1 request')).length;
      const before = await bad();
      for (let i = 0; i < 20; i++) {
        const connection = connect(host());
        connection.send('nonsense\r\n\r\n');
        assert.equal((await connection.answer()).status, 400);
      }
      assert.ok((await bad()) >= before + 20);
      await until(() => logged() > 0, 'a line');
      assert.ok(logged() < 5, `${logged()} lines`);
    });

    test('a request target in absolute form goes where its path leads', async () => {
      const connection = connect(host());
      connection.send('GET http://elsewhere.example/health?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n');
      const { status, body } = await connection.answer();
      assert.deepEqual([status, JSON.parse(body).status], [200, 'ok']);
      connection.send(postText('HTTP://localhost:8080/predict', ROW));
      assert.equal((await connection.answer()).status, 200);
      connection.destroy();
    });

    test('a client that ends its side behind its request gets its response', async () => {
      for (const bytes of [
        'GET /health HTTP/1.1\r\nHost: a\r\n\r\n',
        'GET /health HTTP/1.0\r\n\r\n',
        postText('/predict', ROW),
        postText('/predict', ROW).repeat(3),
        postText('/batch_predict', STREAMED, STREAM),
      ]) {
        const connection = connect(host());
        connection.socket.end(bytes);
        const answers = (await connection.closed).match(/HTTP\/1\.1 200 OK/g);
        assert.equal(answers?.length, bytes.split('HTTP/1.').length - 1, bytes.slice(0, 40));
      }
    });

    test('1000 requests for metrics, sent one behind the other, get 1000 answers in their order', async () => {
      const connection = connect(host());
      const ids = Array.from({ length: 1000 }, (_, i) => `scrape-${i}`);
      connection.send(ids.map((id) => `HEAD /metrics HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${id}\r\n\r\n`).join(''));
      const heads = (await connection.text(`X-Request-Id: ${ids.at(-1)}\r\n`)).match(/scrape-\d+/g);
      assert.deepEqual(heads, ids);
      connection.destroy();
    });

    test('a malformed chunk in mid-stream does not put a second answer into the first', async () => {
      const connection = connect(host());
      connection.send(postText('/batch_predict', '', STREAM) + chunk(`${ROW}\n`));
      await connection.text('"index":0');
      connection.send('nonsense\r\n');
      assert.doesNotMatch(await connection.closed, /HTTP\/1\.1/);
    });

    test('nonsense behind a request is answered behind its answer', async () => {
      const connection = connect(host());
      connection.send(`${postText('/predict', ROW)}nonsense\r\n\r\n`);
      assert.equal((await connection.answer()).status, 200);
      assert.equal((await connection.answer()).status, 400);
      await connection.closed;
    });

    test('a body that is declared too large is refused before it is sent', async () => {
      for (const headers of [{}, { expect: '100-continue' }]) {
        const connection = connect(host());
        connection.send(postText('/predict', '', { 'content-length': String(LIMIT + 1), ...headers }));
        const { status, headers: given, body } = await connection.answer();
        assert.deepEqual([status, given.connection, JSON.parse(body).code], [413, 'close', 'TOO_LARGE']);
        connection.destroy();
      }
    });

    test('Expect: 100-continue is met for a body within the limit, and for a stream of any length', async () => {
      const small = connect(host());
      const expect = { expect: '100-continue' };
      small.send(postText('/predict', '', { ...expect, 'content-length': String(ROW.length) }));
      await small.text('HTTP/1.1 100 Continue\r\n\r\n');
      small.send(ROW);
      assert.equal((await small.answer()).status, 200);
      small.destroy();

      const lines = `${ROW}\n`.repeat(200);
      assert.ok(lines.length > LIMIT);
      const large = connect(host());
      const headers = { ...expect, 'content-type': 'application/x-ndjson', 'content-length': String(lines.length) };
      large.send(postText('/batch_predict', '', headers));
      await large.text('HTTP/1.1 100 Continue\r\n\r\n');
      large.send(lines);
      assert.match((await large.answer()).body, /\{"done":true,"ok":200,"failed":0\}\n$/);
      large.destroy();
    });

    test('a chunked body is refused once it is above the limit, and its client gets to read that', async () => {
      const connection = connect(host());
      connection.send(postText('/predict', '', { 'content-length': undefined, 'transfer-encoding': 'chunked' }));
      for (let sent = 0; sent <= LIMIT; sent += 1000) connection.send(chunk(' '.repeat(1000)));
      const { status, body } = await connection.answer();
      assert.deepEqual([status, JSON.parse(body).code], [413, 'TOO_LARGE']);
      connection.destroy();
    });

    test('an expectation that is not known is passed over', async () => {
      const connection = connect(host());
      connection.send(postText('/predict', ROW, { expect: 'wonders' }));
      assert.equal((await connection.answer()).status, 200);
      connection.destroy();
    });

    test('a compressed body is refused with 415', async () => {
      const connection = connect(host());
      connection.send(postText('/predict', ROW, { 'content-encoding': 'gzip' }));
      const { status, body } = await connection.answer();
      assert.deepEqual([status, JSON.parse(body).code], [415, 'UNSUPPORTED_MEDIA_TYPE']);
      connection.destroy();
    });

    test('requests sent one behind the other on a connection are answered in their order', async () => {
      const connection = connect(host());
      const ids = Array.from({ length: 20 }, (_, i) => `pipelined-${i}`);
      connection.send(ids.map((id) => postText('/predict', ROW, { 'x-request-id': id })).join(''));
      for (const id of ids) {
        const { status, headers } = await connection.answer();
        assert.deepEqual([status, headers['x-request-id']], [200, id]);
      }
      connection.destroy();
    });

    test("a connection is kept for longer than a load balancer's 600 s", async () => {
      const { headers } = await predict(host(), [1, 2, 3, 4]);
      assert.equal(headers.get('connection'), 'keep-alive');
      assert.ok(Number(/timeout=(\d+)/.exec(headers.get('keep-alive') ?? '')?.[1]) > 600);
    });

    test('a client that sends its headers too slowly gets 408 in the error shape', async () => {
      const connection = connect(host());
      connection.send('GET /health HTTP/1.1\r\nHost: slow\r\n');
      const { status, body } = await connection.answer();
      assert.deepEqual([status, JSON.parse(body).code], [408, 'REQUEST_TIMEOUT']);
    });

    test('a stream is answered while it is still being sent', async () => {
      const connection = connect(host());
      connection.send(postText('/batch_predict?batch_size=1', '', STREAM));
      for (let index = 0; index < 5; index++) {
        connection.send(chunk(`${ROW}\n`));
        await connection.text(`{"index":${index},"prediction":0`);
      }
      // A line may come in pieces, and its last one without a line end.
      connection.send(chunk(ROW.slice(0, 9)));
      connection.send(chunk(ROW.slice(9)) + chunk(''));
      await connection.text('{"index":5,"prediction":0');
      await connection.text('{"done":true,"ok":6,"failed":0}');
      connection.destroy();
    });

    test('a client that leaves in the middle of a stream leaves nothing behind', async () => {
      const gone = { reason: 'client_gone' };
      const before = await metric(host(), 'requests_rejected_total', gone);
      const connection = connect(host());
      connection.send(postText('/batch_predict', '', STREAM) + chunk(`${ROW}\n`.repeat(10)));
      await connection.text('"index":9');
      connection.destroy();
      await until(
        async () => (await metric(host(), 'requests_rejected_total', gone)) > before,
        'its end to be counted',
      );
      assert.equal((await predict(host(), [1, 2, 3, 4])).status, 200);
    });
  });
}
