import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, listings, readsOf, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, predict } from '../../helpers/calls.ts';
import { summed } from '../../helpers/models.ts';

const OBJECT = 'iris/model.onnx';
const CLIENTS = 64;
/** Long enough for every client to come while the bucket is asked. */
const LATENCY_MS = 1000;

/** Instances that are started for the requests that wait for them. */
export function coldStarts(): void {
  describe('a cold start', { concurrency: 2 }, () => {
    for (const kind of ['container', 'functions'] as const) {
      test(`${CLIENTS} first requests at once to a ${kind} host: one download, ${CLIENTS} right answers`, () =>
        withStorage(
          async (storage) => {
            storage.put(BUCKET, OBJECT, summed(5, 2 ** 20));
            const env = fromBucket(storage, 'iris', kind === 'container' ? { MODEL_LOAD: 'lazy' } : {});
            await withHost(
              env,
              async (host) => {
                assert.equal(storage.requests.length, 0, 'it loads before it is asked');
                const answers = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => predict(host, [i, 2])));
                for (const [i, { status, json }] of answers.entries()) {
                  assert.equal(status, 200);
                  assert.deepEqual(json().prediction, [i + 5, 7]);
                }
                assert.deepEqual([listings(storage).length, readsOf(storage, OBJECT).length], [1, 1]);
              },
              kind,
            );
          },
          { latencyMs: LATENCY_MS },
        ));

      test(`a lazy ${kind} host is loaded by probes alone: the first is answered before the bucket answers`, () =>
        withStorage(
          async (storage) => {
            storage.put(BUCKET, OBJECT, summed(5, 100));
            const env = fromBucket(storage, 'iris', { MODEL_LOAD: 'lazy' });
            await withHost(
              env,
              async (host) => {
                const first = await call(host, '/ready');
                assert.deepEqual([first.status, first.headers.get('retry-after')], [503, '1']);
                assert.equal(first.json().error, 'the model is not ready: loading: listing');
                assert.equal(readsOf(storage, OBJECT).length, 0);
                const ready = await untilReady(host);
                assert.deepEqual(ready.json(), { status: 'ready', model: { name: 'iris', version: '1' } });
                assert.equal(readsOf(storage, OBJECT).length, 1);
              },
              kind,
            );
          },
          { latencyMs: LATENCY_MS },
        ));
    }
  });
}
