import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, metric, predict } from '../../helpers/calls.ts';
import { type Host, type HostKind, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { slow } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

/** Milliseconds of CPU: long enough that others are sent meanwhile. */
const RUN = 800;
/** Long enough for a busy machine to notice meanwhile that a client has left. */
const LONG_RUN = 2500;

const depth = (host: Host): Promise<number> => metric(host, 'prediction_queue_depth');

/** The queue before one engine that takes its time. */
export function queue(kind: HostKind): void {
  describe('the queue', { concurrency: 1 }, () => {
    const env = { INFERENCE_PROCESSES: '1', MAX_QUEUE_SIZE: '2' };
    const host = useHost(kind, () => ({ MODEL_URI: modelFolder('slow', slow()), ...env }));

    /** Keeps the engine busy; settles with what it said once it is. */
    async function occupy(ms = RUN): Promise<{ readonly answer: ReturnType<typeof predict> }> {
      const answer = predict(host(), [ms]);
      await until(async () => (await metric(host(), 'engine_processes', { state: 'busy' })) === 1, 'the run');
      return { answer };
    }

    test('a full one is answered with 429 and Retry-After, and those in it are answered', async () => {
      const { answer } = await occupy();
      const waiting = [predict(host(), [1]), predict(host(), [2])];
      await until(async () => (await depth(host())) === 2, 'a full queue');
      const refused = await predict(host(), [3]);
      assert.deepEqual([refused.status, refused.json().code], [429, 'OVERLOADED']);
      assert.match(refused.json().error, /2 rows wait, 2 at most/);
      assert.ok(Number(refused.headers.get('retry-after')) >= 1);
      assert.equal((await call(host(), '/ready')).status, 200);
      const all = await Promise.all([answer, ...waiting]);
      assert.deepEqual(
        all.map(({ status, json }) => [status, json().prediction]),
        [
          [200, [RUN]],
          [200, [1]],
          [200, [2]],
        ],
      );
      assert.equal(await metric(host(), 'requests_rejected_total', { reason: 'overloaded' }), 1);
    });

    test('rows of a client that left are not run', async () => {
      const rows = await metric(host(), 'prediction_rows_per_run_sum');
      // In front of an image, Docker's proxy passes the end of the connection on.
      const { answer } = await occupy(LONG_RUN);
      const leaving = new AbortController();
      const body = '{"features":[5000]}';
      const headers = { 'content-type': 'application/json' };
      const left = fetch(`${host().url}/predict`, { method: 'POST', body, headers, signal: leaving.signal });
      const staying = predict(host(), [1]);
      await until(async () => (await depth(host())) === 2, 'both to wait');
      leaving.abort();
      await assert.rejects(left, { name: 'AbortError' });
      assert.deepEqual((await answer).json().prediction, [LONG_RUN]);
      assert.deepEqual((await staying).json().prediction, [1]);
      assert.equal(await metric(host(), 'prediction_rows_per_run_sum'), rows + 2);
      await until(
        async () => (await metric(host(), 'requests_rejected_total', { reason: 'client_gone' })) === 1,
        'its count',
      );
    });

    test('a batch waits for room instead of failing', async () => {
      const { answer } = await occupy();
      const body = Array.from({ length: 30 }, () => '{"features":[0]}').join('\n');
      const headers = { 'content-type': 'application/x-ndjson' };
      const { text } = await call(host(), '/batch_predict', { method: 'POST', body, headers });
      assert.match(text, /\{"done":true,"ok":30,"failed":0\}\n$/);
      assert.equal((await answer).status, 200);
    });
  });
}
