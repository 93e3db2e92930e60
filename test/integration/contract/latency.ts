import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batch, metric, post, predict } from '../../helpers/calls.ts';
import type { Host } from '../../helpers/hosts.ts';
import { infer } from '../../helpers/open-inference.ts';

const ROW = [5.1, 3.5, 1.4, 0.2];
const ROWS = [ROW, ROW, ROW];

/** One definition of a prediction's latency: a value for each row, whatever the dialect that it came in. */
export function latency(host: () => Host): void {
  describe('the latency of predictions', { concurrency: 1 }, () => {
    const counted = () =>
      Promise.all([
        metric(host(), 'prediction_latency_seconds_count', { model: 'iris' }),
        metric(host(), 'predictions_total', { model: 'iris', outcome: 'ok' }),
      ]);
    const tensor = { name: 'features', datatype: 'FP32', shape: [3, 4], data: JSON.stringify(ROWS) };
    const json = { inputs: [{ ...tensor, data: ROWS }] };

    const DIALECTS: [title: string, ask: () => Promise<{ status: number }>, rows: number][] = [
      ['a row of /predict', () => predict(host(), ROW), 1],
      [
        'the rows of /batch_predict',
        () =>
          batch(
            host(),
            ROWS.map((features) => ({ features })),
          ),
        3,
      ],
      ['the batch of an infer request', () => infer(host(), 'iris', [tensor]), 3],
      ["TensorFlow Serving's instances", () => post(host(), '/v1/models/iris:predict', { instances: ROWS }), 3],
      ["TensorFlow Serving's columns", () => post(host(), '/v1/models/iris:predict', { inputs: ROWS }), 3],
      ["Vertex AI's instances", () => post(host(), '/vertex', { instances: ROWS }), 3],
      ["Vertex AI's features", () => post(host(), '/vertex', { features: ROW }), 1],
      ["Vertex AI's tensors", () => post(host(), '/vertex', json), 3],
    ];
    for (const [title, ask, rows] of DIALECTS) {
      test(`is counted once a row: ${title}`, async () => {
        const before = await counted();
        assert.equal((await ask()).status, 200);
        assert.deepEqual(await counted(), [before[0]! + rows, before[1]! + rows]);
      });
    }

    test('is not counted for what was refused', async () => {
      const before = await counted();
      assert.equal((await predict(host(), [1])).status, 400);
      assert.equal((await infer(host(), 'iris', [{ ...tensor, shape: [0, 4], data: '[]' }])).status, 200);
      assert.deepEqual(await counted(), before);
    });
  });
}
