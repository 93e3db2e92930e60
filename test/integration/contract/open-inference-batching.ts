import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { metric, predict } from '../../helpers/calls.ts';
import { type Host, type HostKind, useHost } from '../../helpers/hosts.ts';
import { modelFolder } from '../../helpers/model-folder.ts';
import { poisonable } from '../../helpers/models.ts';
import { floats, type Inferred, infer, type Sent, sendInfer } from '../../helpers/open-inference.ts';
import { assertRefused } from './open-inference.ts';

const column = (...values: number[]): Sent[] => [
  { name: 'x', datatype: 'FP32', shape: [values.length, 1], data: JSON.stringify(values) },
];
const RAW = { 'content-type': 'application/octet-stream', 'inference-header-content-length': '0' };

/** Requests that share runs. */
export function openInferenceCompany(kind: HostKind): void {
  describe('company of the Open Inference Protocol', { concurrency: 1 }, () => {
    const env = { INFERENCE_PROCESSES: '1', BATCH_DELAY_MS: '50' };
    const host = useHost(kind, () => ({ MODEL_URI: modelFolder('infer-poisonable', poisonable()), ...env }));
    const ask = (...values: number[]): Promise<Inferred> => infer(host(), 'infer-poisonable', column(...values));

    test('of 100 requests at once each gets its own answer, and one with a poisoned row fails alone, and whole', async () => {
      const asked = Array.from({ length: 100 }, (_, i) => (i === 41 ? [1, -1, 2] : [i, i / 8].slice(0, 1 + (i % 2))));
      const answers = await Promise.all(asked.map((values) => ask(...values)));
      for (const [i, answer] of answers.entries()) {
        if (i === 41) {
          assertRefused(answer, 500, 'MODEL_FAILED', /the model failed on this input/);
          continue;
        }
        const [{ shape, data }] = answer.json.outputs;
        assert.deepEqual([shape, data], [[asked[i]!.length, 1], asked[i]!.map((value) => 2 * value)]);
      }
      const [runs, rows] = [
        await metric(host(), 'prediction_rows_per_run_count'),
        await metric(host(), 'prediction_rows_per_run_sum'),
      ];
      assert.ok(rows > 2 * runs, `${rows} rows in ${runs} runs: they were not joined, which this test is about`);
      assert.equal(await metric(host(), 'predictions_total', { outcome: 'failed' }), 3);
      const stats = await (await fetch(`${host().url}/v2/models/infer-poisonable/stats`)).json();
      const [{ inference_stats }] = (stats as { model_stats: [{ inference_stats: Record<string, { count: number }> }] })
        .model_stats;
      assert.deepEqual([inference_stats.success!.count, inference_stats.fail!.count], [99, 1]);
    });

    test('a long request is answered whole, in order, and keeps nobody else out of the queue', async () => {
      const values = Array.from({ length: 20_000 }, (_, i) => i / 16);
      const long = ask(...values);
      const others = await Promise.all(Array.from({ length: 50 }, (_, i) => predict(host(), [i])));
      for (const [i, { status, json }] of others.entries())
        assert.deepEqual([status, json().prediction], [200, [2 * i]]);
      const { status, json } = await long;
      assert.equal(status, 200);
      assert.deepEqual(json.outputs[0].shape, [20_000, 1]);
      assert.deepEqual(
        json.outputs[0].data,
        values.map((value) => 2 * value),
      );
      values[13_000] = -1;
      assertRefused(await ask(...values), 500, 'MODEL_FAILED', /the model failed on this input/);
    });
  });
}

/** Whole tensors, values that are not finite, and requests that are nothing but binary data, to the models `softmax`, `log`, `rows`, `free`, `words` and `add`. */
export function openInferenceTensors(host: () => Host): void {
  describe('a model whose rows are not joined, by the Open Inference Protocol', { concurrency: 1 }, () => {
    test('runs a whole tensor as one', async () => {
      const x: Sent = { name: 'x', datatype: 'FP32', shape: [2, 3], data: '[0,1,2,0,1,2]' };
      const { json } = await infer(host(), 'softmax', [x]);
      assert.deepEqual(json.outputs[0], {
        name: 'y',
        datatype: 'FP32',
        shape: [2, 3],
        data: [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
      });
      const none = await infer(host(), 'softmax', [{ ...x, shape: [0, 3], data: '[]' }]);
      if (none.status === 200) assert.deepEqual(none.json.outputs[0].data, []);
      else assertRefused(none, 400, 'INVALID_INPUT', /input x has no elements/);
    });

    test('takes its rows from the length of a raw binary request', async () => {
      const { bytes, json } = await sendInfer(host(), 'softmax', floats(1, 1, 1, 1, 1, 1), RAW);
      assert.deepEqual(json.outputs[0].shape, [2, 3]);
      assert.deepEqual(bytes.get('y'), floats(0.5, 0.5, 0.5, 0.5, 0.5, 0.5));
    });
  });

  describe('values that are not finite, by the Open Inference Protocol', { concurrency: 1 }, () => {
    test('are strings in JSON, and themselves in binary data', async () => {
      const { json } = await infer(host(), 'log', column(0, -1, 1));
      assert.deepEqual(json.outputs[0].data, ['-Infinity', 'NaN', 0]);
      const { bytes } = await infer(host(), 'log', column(0, 1), { parameters: { binary_data_output: true } });
      assert.deepEqual(bytes.get('y'), floats(Number.NEGATIVE_INFINITY, 0));
    });
  });

  describe('raw binary requests', { concurrency: 1 }, () => {
    test('are a batch of one, and answered with binary data', async () => {
      const sent = floats(1, 2.5, -3, 4);
      const { status, headers, json, bytes } = await sendInfer(host(), 'rows', sent, RAW);
      assert.equal(status, 200);
      assert.equal(headers.get('content-type'), 'application/octet-stream');
      assert.deepEqual([json.outputs[0].shape, bytes.get('y')], [[1, 4], sent]);
      const long = await sendInfer(host(), 'rows', Buffer.concat([sent, sent]), RAW);
      assertRefused(long, 400, 'INVALID_INPUT', /^the body: expected 16 bytes for FP32 \[1,4\], got 32/);
    });

    test('may leave one dimension to the length of the data', async () => {
      const { json } = await sendInfer(host(), 'free', floats(1, 2, 3), RAW);
      assert.deepEqual(json.outputs[0].shape, [1, 3]);
      const odd = await sendInfer(host(), 'free', Buffer.alloc(7), RAW);
      assertRefused(odd, 400, 'INVALID_INPUT', /expected a multiple of 4 bytes for FP32 \[1,-1\], got 7/);
    });

    test('of BYTES are one text as it is', async () => {
      const { json, bytes } = await sendInfer(host(), 'words', 'Größe', RAW);
      assert.deepEqual([json.outputs[0].shape, bytes.get('y')!.subarray(4).toString()], [[1, 1], 'Größe']);
    });

    test('are for models of one input', async () => {
      const answer = await sendInfer(host(), 'add', floats(1, 2), RAW);
      assertRefused(answer, 400, 'INVALID_INPUT', /is for a model of one input, and this one has 2/);
    });
  });
}
