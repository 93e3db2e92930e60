import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { call, post, predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';

/** The model `any-rank`, behind /predict, whose file leaves the rank of its input open: whatever comes in comes out, doubled. */
export function anyRank(host: () => Host): void {
  describe('a model that takes any rank', { concurrency: 1 }, () => {
    test('every dialect takes a scalar, a list and a matrix, and gives the same back', async () => {
      for (const [x, y, shape] of [
        [3, 6, []],
        [[1, 2], [2, 4], [2]],
        [[[1, 2]], [[2, 4]], [1, 2]],
      ] as const) {
        assert.deepEqual((await predict(host(), x)).json().outputs, { y });
        assert.deepEqual((await post(host(), '/v1/models/any-rank:predict', { inputs: x })).json(), { outputs: y });
        const input = { name: 'x', datatype: 'FP32', shape, data: [x].flat(3) };
        const { outputs } = (await post(host(), '/v2/models/any-rank/infer', { inputs: [input] })).json();
        assert.deepEqual([outputs[0].shape, outputs[0].data], [shape, [y].flat(3)]);
      }
    });

    test('metadata tells an open rank from a scalar', async () => {
      const inference = (await call(host(), '/v2/models/any-rank')).json();
      const parameters = { unknown_rank: true };
      assert.deepEqual(inference.inputs, [{ name: 'x', datatype: 'FP32', shape: [], parameters }]);
      const { signature_def } = (await call(host(), '/v1/models/any-rank/metadata')).json().metadata;
      const shape = signature_def.signature_def.serving_default.inputs.x.tensor_shape;
      assert.deepEqual(shape, { dim: [], unknown_rank: true });
      const { 'x-model': described } = (await call(host(), '/openapi.json')).json();
      assert.deepEqual(described.inputs, [{ name: 'x', dtype: 'float32', shape: [], anyRank: true }]);
    });
  });
}
