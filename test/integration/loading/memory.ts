import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, BUCKET, fromBucket, readsOf, withHost, withStorage } from '../../helpers/bucket.ts';
import { call } from '../../helpers/calls.ts';
import { NOT_TOLD, untilLogged } from '../../helpers/hosts.ts';
import { addConstant, summed } from '../../helpers/models.ts';

/** Models that are larger than the memory they are given. */
export function memory(): void {
  describe('a model that could never fit', () => {
    test('is refused with both figures and not read, and the server goes on with the others', () =>
      withStorage(async (storage) => {
        const large = summed(1, 24 * 2 ** 20);
        storage.put(BUCKET, 'large/model.onnx', large);
        storage.put(BUCKET, 'small/model.onnx', addConstant(5));
        const budget = String(100 * 2 ** 20);
        await withHost(fromBucket(storage, '', { MODEL_NAME: 'large', MODEL_MEMORY_BUDGET: budget }), async (host) => {
          const says = new RegExp(
            `the model large \\(${large.length} bytes\\) needs about 1(2|4)\\d MiB of memory, and MODEL_MEMORY_BUDGET leaves 100 MiB`,
          );
          for (let round = 0; round < 2; round++) {
            const refused = await ask(host, 'large', [1, 2]);
            assert.equal(refused.status, 503);
            assert.match(refused.json().error, NOT_TOLD);
            const ready = await call(host, '/ready');
            assert.equal(ready.status, 503);
            assert.match(ready.json().error, NOT_TOLD);
            await untilLogged(host, says);
            assert.deepEqual((await ask(host, 'small', [1, 2])).json().prediction, [6, 7]);
          }
          const { status, model } = (await call(host, '/health')).json();
          assert.deepEqual([status, model.state], ['ok', 'failed']);
          assert.match(`the model is not ready: ${model.reason}`, NOT_TOLD);
          assert.equal(readsOf(storage, 'large/model.onnx').length, 0);
        });
      }));
  });
}
