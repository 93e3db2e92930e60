import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BUCKET, fromBucket, LONG_AGO, listings, withHost, withStorage } from '../../helpers/bucket.ts';
import { predict } from '../../helpers/calls.ts';
import { startHost } from '../../helpers/hosts.ts';
import { addConstant } from '../../helpers/models.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

const SETTINGS = { MODEL_REFRESH_SECONDS: '1', INFERENCE_PROCESSES: '1' };

/** On Cloud Run CPU is there only during requests: a timer would not run, or run into one. */
export function onRequests(): void {
  test('with K_SERVICE there is no refresh without a request; a request starts one, and is not delayed by it', () => {
    /** What a delayed response of the storage waits for. */
    const delay = Promise.withResolvers<void>();
    const clock = { now: () => performance.now(), sleep: () => delay.promise };
    return withStorage(async (other) =>
      withStorage(
        async (storage) => {
          for (const each of [storage, other]) each.put(BUCKET, 'iris/model.onnx', addConstant(1), LONG_AGO);
          const twin = await startHost('container', fromBucket(other, 'iris', SETTINGS));
          try {
            await withHost(fromBucket(storage, 'iris', { ...SETTINGS, K_SERVICE: 'iris' }), async (host) => {
              await until(() => host.lines.some((line) => line.includes('model ready')), 'the model');
              assert.equal(listings(storage).length, 1);
              // Its twin tells the time: a server that is not on Cloud Run has refreshed several times.
              const before = listings(other).length;
              await until(() => listings(other).length >= before + 3, 'refreshes of the twin', BACKGROUND_MS);
              assert.equal(listings(storage).length, 1, 'it refreshed without a request');

              storage.put(BUCKET, 'iris/model.onnx', addConstant(2), LONG_AGO);
              storage.inject({ type: 'delay', ms: 1, kind: 'list' });
              assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
              const refresh = await until(
                () => listings(storage)[1],
                'the refresh that the request started',
                BACKGROUND_MS,
              );
              let over = false;
              void refresh.closed.then(() => {
                over = true;
              });
              assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
              assert.equal(over, false, 'the request waited for the refresh');
              delay.resolve();
              await until(
                () => host.lines.some((line) => line.includes('a new version serves')),
                'the swap',
                BACKGROUND_MS,
              );
              assert.deepEqual((await predict(host, [1, 2])).json().prediction, [3, 4]);
            });
          } finally {
            await twin.stop();
          }
        },
        { clock },
      ),
    );
  });
}
