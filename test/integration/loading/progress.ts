import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, type Json, metric, predict } from '../../helpers/calls.ts';
import { summed } from '../../helpers/models.ts';
import { until } from '../../helpers/until.ts';

const BYTES = 4 * 2 ** 20;
const SECONDS = 2;

/** What a server tells of a load that takes a while. */
export function progress(): void {
  describe('a model that is on its way', () => {
    test('/health says how far it has come, /ready what is waited for, and a request waits for it', () =>
      withStorage(
        async (storage) => {
          const model = summed(5, BYTES);
          storage.put(BUCKET, 'iris/model.onnx', model);
          await withHost(fromBucket(storage, 'iris'), async (host) => {
            const waiting = predict(host, [1, 2]);
            const seen: number[] = [];
            const health = await until(
              async () => {
                const answer = await call(host, '/health');
                assert.equal(answer.status, 200);
                const { state, phase, fetched_bytes, bytes }: Json = answer.json().model;
                assert.equal(fetched_bytes !== undefined, phase === 'fetching');
                if (phase !== 'fetching') return state === 'ready' && answer;
                assert.equal(bytes, model.length);
                if (fetched_bytes !== seen.at(-1)) seen.push(fetched_bytes);
                const { status, json } = await call(host, '/ready');
                // The phase may have ended between the two.
                const text = json().error ?? '';
                if (text.endsWith('fetching')) assert.equal(text, 'the model is not ready: loading: fetching');
                assert.ok(status === 503 || fetched_bytes === bytes);
                return undefined;
              },
              'the end of the load',
              30_000,
            );
            assert.ok(seen.length > 4, `it told of ${seen}`);
            assert.deepEqual(
              seen.toSorted((a, b) => a - b),
              seen,
            );
            assert.ok(seen.at(-1)! > model.length / 2 && seen.at(-1)! <= model.length, `${seen}`);
            assert.deepEqual((await waiting).json().prediction, [6, 7]);
            assert.equal((await call(host, '/ready')).status, 200);
            const { bytes, load_seconds, version } = health.json().model;
            assert.deepEqual([bytes, version], [model.length, '1']);
            const fetching = await metric(host, 'model_load_seconds', { model: 'iris', phase: 'fetching' });
            assert.ok(fetching > SECONDS * 0.7 && load_seconds > fetching, `${fetching} s of ${load_seconds}`);
          });
        },
        { bytesPerSecond: BYTES / SECONDS },
      ));
  });
}
