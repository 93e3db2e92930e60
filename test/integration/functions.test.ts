import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { call, linesOf, metric, post, predict } from '../helpers/calls.ts';
import { startHost, useHost } from '../helpers/hosts.ts';
import { modelFolder } from '../helpers/model-folder.ts';
import { slow } from '../helpers/models.ts';
import { connect, postText } from '../helpers/raw-http.ts';
import { until } from '../helpers/until.ts';
import { contract } from './contract.ts';

const LIMIT = 4096;
const ROW = '{"features":[5.1,3.5,1.4,0.2]}';

contract('functions');

/** What the framework takes out of the handler's hands. Where one of these fails, a limit is gone: docs/deploy/functions.md lists them. */
describe('the functions host alone', { concurrency: 2 }, () => {
  describe('bodies', { concurrency: 1 }, () => {
    const host = useHost('functions', () => ({ MAX_BODY_BYTES: String(LIMIT), INFERENCE_PROCESSES: '1' }));

    test('malformed JSON is answered by the framework, in HTML, and never gets to the handler', async () => {
      const handled = await metric(host(), 'http_requests_total', { route: '/predict' });
      for (const body of ['{"features":', '5', '"text"', 'null']) {
        const { status, headers } = await post(host(), '/predict', body);
        assert.equal(status, 400);
        assert.match(headers.get('content-type') ?? '', /^text\/html/);
      }
      assert.equal(await metric(host(), 'http_requests_total', { route: '/predict' }), handled);
    });

    test('malformed NDJSON is not parsed by the framework: each bad row fails alone, as on the container', async () => {
      const answer = await post(host(), '/batch_predict', `${ROW}\n{\n`, { 'content-type': 'application/x-ndjson' });
      const [good, bad, last] = linesOf(answer);
      assert.deepEqual([good.label, bad.error.code, last.done], ['setosa', 'INVALID_INPUT', true]);
    });

    test('digits of an int64 survive, as the body is read from its bytes', async () => {
      const { status, json } = await post(host(), '/predict', '{"features":[5.1,3.5,1.4,9007199254740993]}');
      assert.equal(status, 200, json().error);
    });

    test('a gzipped body is inflated by the framework', async () => {
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      const { status, json } = await call(host(), '/predict', { method: 'POST', body: gzipSync(ROW), headers });
      assert.deepEqual([status, json().label], [200, 'setosa']);
    });

    test('a stream is not answered before it is whole', async () => {
      const connection = connect(host());
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': String(2 * ROW.length + 2) };
      connection.send(postText('/batch_predict', `${ROW}\n`, headers));
      let early = false;
      connection.socket.once('data', () => {
        early = true;
      });
      // Another stream, sent later and answered, shows that there was time enough.
      assert.equal(
        linesOf(await post(host(), '/batch_predict', `${ROW}\n`, { 'content-type': 'application/x-ndjson' })).length,
        2,
      );
      assert.equal(early, false);
      connection.send(`${ROW}\n`);
      await connection.text('{"done":true,"ok":2,"failed":0}');
      connection.destroy();
    });

    test('a body that is declared too large is refused only after it has been read', async () => {
      const connection = connect(host());
      connection.send(postText('/predict', '', { 'content-length': String(LIMIT + 1) }));
      let early = false;
      connection.socket.once('data', () => {
        early = true;
      });
      assert.equal((await predict(host(), [1, 2, 3, 4])).status, 200);
      assert.equal(early, false);
      connection.send(ROW.padEnd(LIMIT + 1));
      const { status, body } = await connection.answer();
      assert.deepEqual([status, JSON.parse(body).code], [413, 'TOO_LARGE']);
      connection.destroy();
    });
  });

  test('SIGTERM: the framework answers 500 to the latest request, cuts the others off, and exits at once', async () => {
    const env = { MODEL_URI: modelFolder('slow', slow()), INFERENCE_PROCESSES: '1' };
    const host = await startHost('functions', env);
    try {
      await until(async () => (await call(host, '/ready')).status === 200, 'the model to be ready');
      const [running, waiting, latest] = [connect(host), connect(host), connect(host)];
      const body = '{"features":[5000]}';
      running.send(postText('/predict', body));
      await until(async () => (await metric(host, 'engine_processes', { state: 'busy' })) === 1, 'the run');
      waiting.send(postText('/predict', body));
      await until(async () => (await metric(host, 'prediction_queue_depth')) === 1, 'the other to wait');
      // Its interim answer tells that it is in the framework's hands, without a request that would be the latest then.
      latest.send(postText('/predict', '', { expect: '100-continue', 'content-length': String(body.length) }));
      await latest.text('HTTP/1.1 100 Continue\r\n\r\n');
      const { code, left } = await host.stop();
      assert.deepEqual([code, left], [0, []]);
      assert.match(await latest.closed, /^HTTP\/1\.1 500 /);
      assert.deepEqual([await running.closed, await waiting.closed], ['', '']);
    } finally {
      await host.stop('SIGKILL');
    }
  });
});
