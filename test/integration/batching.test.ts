import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { createRandom } from '../../scripts/fuzz/random.ts';
import { call, type Json } from '../helpers/calls.ts';
import { type ExportedGraph, GRAPHS } from '../helpers/graphs/index.ts';
import { useHost } from '../helpers/hosts.ts';
import { infer, type Sent } from '../helpers/open-inference.ts';

/** What users lost their answers by, or their speed, while a trial with made-up rows decided. */
const MODELS: readonly (readonly [start: string, enabled: boolean])[] = [
  ['detectors: YOLO with NonMaxSuppression', false],
  ['detectors: SSD, NonMaxSuppression', false],
  ['quantized: dynamic, the label alone', false],
  ['torch legacy: rows with a positive first logit, Compress', false],
  ['torch legacy: labels of all tokens in one list', false],
  ['scikit-learn: RandomForestClassifier, default ZipMap', true],
  ['XGBoost: XGBClassifier', true],
  ['transformers: BERT, last hidden state and pooler', true],
];

const root = mkdtempSync(join(tmpdir(), 'batching-'));
after(() => rmSync(root, { recursive: true }));

interface Served {
  readonly graph: ExportedGraph;
  readonly folder: string;
  readonly enabled: boolean;
}

const served = MODELS.map(([start, enabled], at): Served => {
  const graph = GRAPHS.find(({ name }) => name.startsWith(start));
  assert.ok(graph !== undefined, start);
  const folder = `m${at}`;
  mkdirSync(join(root, folder));
  writeFileSync(join(root, folder, 'model.onnx'), graph.model());
  return { graph, folder, enabled };
});

const REQUESTS = 48;

describe('models as exporters write them, under load', () => {
  const host = useHost('container', () => ({ MODEL_URI: root, MODEL_NAME: 'm0', INFERENCE_PROCESSES: '1' }));

  for (const { graph, folder, enabled } of served) {
    test(`${graph.name}: ${REQUESTS} requests at once get what each gets alone`, async () => {
      const random = createRandom(7);
      const inputs = (await describeLoaded(folder)).inputs as Json[];
      const requests = Array.from({ length: REQUESTS }, () =>
        graph.feeds(random, 1).map((tensor, i) => sent(tensor, inputs[i])),
      );
      const alone: Json[] = [];
      for (const request of requests) alone.push(await answer(folder, request));
      const together = await Promise.all(requests.map((request) => answer(folder, request)));
      assert.deepEqual(together, alone);

      const { batching } = (await call(host(), `/models/${folder}`)).json();
      assert.deepEqual([batching.enabled, batching.decided_by], [enabled, 'proof'], JSON.stringify(batching));
      if (!enabled) assert.match(batching.reason, /^operator [\w.]+, node .+: /);
    });
  }

  /** The metadata, once a prediction has loaded the model: the names and shapes of a request do not matter for that. */
  async function describeLoaded(folder: string): Promise<Json> {
    await infer(host(), folder, []);
    const metadata = await call(host(), `/v2/models/${folder}`);
    assert.equal(metadata.status, 200, metadata.text);
    return metadata.json();
  }

  /** Status and outputs; values to five digits, as sums in another order may differ in the last ones. */
  async function answer(folder: string, request: readonly Sent[]): Promise<Json> {
    const { status, json } = await infer(host(), folder, request);
    const outputs = json.outputs?.map(({ shape, data }: Json) => [shape, data.map(rounded)]);
    return [status, outputs ?? json.code];
  }
});

const rounded = (value: unknown): unknown => (typeof value === 'number' ? Number(value.toPrecision(4)) : value);

function sent({ dims, data }: Tensor, { name, datatype }: Json): Sent {
  assert.ok(!Array.isArray(data), 'numbers');
  return { name, datatype, shape: dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
