import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUCKET, fromBucket, LONG_AGO, listings, untilReady, withHost, withStorage } from '../../helpers/bucket.ts';
import { call, metric, predict } from '../../helpers/calls.ts';
import { untilLogged } from '../../helpers/hosts.ts';
import { addConstant, summed } from '../../helpers/models.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

const EVERY_SECOND = { MODEL_REFRESH_SECONDS: '1' };

/** Golden rows of `addConstant`. */
const goldenOf = (constant: number): Uint8Array =>
  Buffer.from(JSON.stringify({ rows: [{ features: [1, 2], outputs: { y: [1 + constant, 2 + constant] } }] }));

const BAD: readonly (readonly [what: string, model: Uint8Array, error: RegExp])[] = [
  ['a golden row differs', addConstant(2), /golden\.json: rows\[0\]\.outputs\.y: element 0 came out as 3, expected 2/],
  ['it is cut short', summed(1, 4000).subarray(0, 2000), /gs:\/\/models\/iris\/model\.onnx: .*(cut short|truncated)/i],
  ['it is no ONNX', Buffer.from('<html>Sign in</html>'), /gs:\/\/models\/iris\/model\.onnx: .*ONNX/],
];

/** Newer models that are not taken, and a bucket that gives none. */
export function refusedSwaps(): void {
  describe('what is no newer model', { concurrency: 2 }, () => {
    test('a new version that fails leaves the old one serving and is logged, and the next good upload is loaded', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'iris/model.onnx', addConstant(1), LONG_AGO);
        storage.put(BUCKET, 'iris/golden.json', goldenOf(1), LONG_AGO);
        await withHost(fromBucket(storage, 'iris', EVERY_SECOND), async (host) => {
          await untilReady(host);
          for (const [i, [what, model, error]] of BAD.entries()) {
            storage.put(BUCKET, 'iris/model.onnx', model, LONG_AGO);
            const failed = async () => (await metric(host, 'model_refreshes_total', { outcome: 'failed' })) === i + 1;
            await until(failed, `it to be refused: ${what}`, BACKGROUND_MS);
            const { status, model: shown } = (await call(host, '/health')).json();
            assert.deepEqual([status, shown.state, shown.version], ['ok', 'ready', '1']);
            assert.match(shown.refresh_error, /^it failed while it was .*: the server's log says why$/);
            await untilLogged(host, error);
            assert.equal((await call(host, '/ready')).status, 200);
            assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
          }
          storage.put(BUCKET, 'iris/golden.json', goldenOf(5), LONG_AGO);
          storage.put(BUCKET, 'iris/model.onnx', addConstant(5), LONG_AGO);
          await until(
            async () => (await predict(host, [1, 2])).json().prediction[0] === 6,
            'the good one',
            BACKGROUND_MS,
          );
          assert.equal((await call(host, '/health')).json().model.refresh_error, undefined);
          assert.equal(await metric(host, 'model_refreshes_total', { outcome: 'swapped' }), 1);
        });
      }));

    test('while the bucket answers 503, the old model serves, and one warning says so', () =>
      withStorage(async (storage) => {
        storage.put(BUCKET, 'iris/model.onnx', addConstant(1), LONG_AGO);
        await withHost(fromBucket(storage, 'iris', EVERY_SECOND), async (host) => {
          await untilReady(host);
          storage.inject({ type: 'status', status: 503, kind: 'list', times: 13 });
          const first = listings(storage).length;
          await until(() => listings(storage).length > first + 2, 'the outage', BACKGROUND_MS);
          assert.deepEqual((await predict(host, [1, 2])).json().prediction, [2, 3]);
          const missed = async () => (await metric(host, 'model_refreshes_total', { outcome: 'unreachable' })) === 2;
          await until(missed, 'two refreshes without a version', BACKGROUND_MS);
          const { state, refresh_error } = (await call(host, '/health')).json().model;
          assert.deepEqual([state, refresh_error], ['ready', undefined]);
          storage.put(BUCKET, 'iris/model.onnx', addConstant(2), LONG_AGO);
          await until(
            async () => (await predict(host, [1, 2])).json().prediction[0] === 3,
            'the new one',
            BACKGROUND_MS,
          );
          const warnings = host.lines.filter((line) => /"severity":"(WARNING|ERROR)"/.test(line));
          assert.equal(warnings.length, 1, warnings.join('\n'));
          assert.match(
            warnings[0]!,
            /the refresh could not list the models: gs:\/\/models\/iris: 503 Injected fault 503/,
          );
        });
      }));
  });
}
