import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, metric, post, predict } from '../../helpers/calls.ts';
import { type Host, type HostKind, useHost, withStoppedEngines } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { slow } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';
import { openInferenceTimeout } from './open-inference.ts';

const depth = (host: Host): Promise<number> => metric(host, 'prediction_queue_depth');

/** The queue before one engine that takes its time. */
export function queue(kind: HostKind): void {
  describe('the queue', { concurrency: 1 }, () => {
    const env = { INFERENCE_PROCESSES: '1', MAX_QUEUE_SIZE: '2' };
    const host = useHost(kind, () => ({ MODEL_URI: modelFolder('slow', slow()), ...env }));

    /** A request whose run has begun on the engine, which is stopped. Its response is in an array, so that nobody waits for it yet. */
    async function occupy(): Promise<ReturnType<typeof predict>[]> {
      const answer = predict(host(), [0]);
      await until(async () => (await metric(host(), 'engine_processes', { state: 'busy' })) === 1, 'the run');
      return [answer];
    }

    test('a full one is answered with 429 and Retry-After, and those in it are answered', async () => {
      const answers = await withStoppedEngines(host(), async () => {
        const running = await occupy();
        const waiting = [predict(host(), [1]), predict(host(), [2])];
        await until(async () => (await depth(host())) === 2, 'a full queue');
        const refused = await predict(host(), [3]);
        assert.deepEqual([refused.status, refused.json().code], [429, 'OVERLOADED']);
        assert.match(refused.json().error, /2 rows wait, 2 at most/);
        assert.ok(Number(refused.headers.get('retry-after')) >= 1);
        assert.equal((await call(host(), '/ready')).status, 200);
        return [...running, ...waiting];
      });
      assert.deepEqual(
        (await Promise.all(answers)).map(({ status, json }) => [status, json().prediction]),
        [
          [200, [0]],
          [200, [1]],
          [200, [2]],
        ],
      );
      assert.equal(await metric(host(), 'requests_rejected_total', { reason: 'overloaded' }), 1);
    });

    test('instances for TensorFlow Serving are refused with 429 and Retry-After', async () => {
      const path = '/v1/models/slow:predict';
      const answers = await withStoppedEngines(host(), async () => {
        const running = await occupy();
        const waiting = post(host(), path, '{"instances":[[1],[2]]}');
        await until(async () => (await depth(host())) === 2, 'a full queue');
        const refused = await post(host(), path, '{"instances":[[1]]}');
        assert.deepEqual([refused.status, refused.json().code], [429, 'OVERLOADED']);
        assert.ok(Number(refused.headers.get('retry-after')) >= 1);
        return [...running, waiting];
      });
      const [first, waiting] = await Promise.all(answers);
      assert.equal(first!.status, 200);
      assert.deepEqual(waiting!.json(), { predictions: [[1], [2]] });
    });

    test('rows of a client that left are not run', async () => {
      const rows = await metric(host(), 'prediction_rows_per_run_sum');
      const answers = await withStoppedEngines(host(), async () => {
        const running = await occupy();
        const leaving = new AbortController();
        const body = '{"features":[5000]}';
        const headers = { 'content-type': 'application/json' };
        const left = fetch(`${host().url}/predict`, { method: 'POST', body, headers, signal: leaving.signal });
        const staying = predict(host(), [1]);
        await until(async () => (await depth(host())) === 2, 'both to wait');
        leaving.abort();
        await assert.rejects(left, { name: 'AbortError' });
        // In front of an image, Docker's proxy passes the end of the connection on.
        await until(async () => (await depth(host())) === 1, 'its row to leave the queue');
        return [...running, staying];
      });
      const [first, staying] = await Promise.all(answers);
      assert.deepEqual([first!.json().prediction, staying!.json().prediction], [[0], [1]]);
      assert.equal(await metric(host(), 'prediction_rows_per_run_sum'), rows + 2);
      await until(
        async () => (await metric(host(), 'requests_rejected_total', { reason: 'client_gone' })) === 1,
        'its count',
      );
    });

    test('a batch waits for room instead of failing', async () => {
      const answers = await withStoppedEngines(host(), async () => {
        const running = await occupy();
        const body = Array.from({ length: 30 }, () => '{"features":[0]}').join('\n');
        const headers = { 'content-type': 'application/x-ndjson' };
        const batch = call(host(), '/batch_predict', { method: 'POST', body, headers });
        await until(async () => (await depth(host())) > 0, 'its rows to wait');
        return [...running, batch];
      });
      const [first, batch] = await Promise.all(answers);
      assert.match(batch!.text, /\{"done":true,"ok":30,"failed":0\}\n$/);
      assert.equal(first!.status, 200);
    });

    openInferenceTimeout(host);
  });
}
