import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { stringNormalizer } from '../../helpers/exported-models.ts';
import { type Host, type HostKind, useHost } from '../../helpers/hosts.ts';
import {
  add,
  addConstant,
  freeDimensions,
  identity,
  manyInputs,
  noShape,
  notFinite,
  softmaxAxis0,
  writeModel,
} from '../../helpers/models.ts';
import { anyRank } from './any-rank.ts';
import { batchPredict } from './batch-predict.ts';
import { NOT_JOINED, notJoined } from './batching-isolation.ts';
import { everyDtype } from './every-dtype.ts';
import { openInferenceInputs } from './open-inference.ts';
import { openInferenceTensors } from './open-inference-batching.ts';
import { tables, texts } from './tables.ts';
import { values } from './values.ts';

const MODELS: Readonly<Record<string, () => Uint8Array>> = {
  'any-rank': noShape,
  half: () => addConstant(0.5),
  'every-dtype': everyDtype,
  table: manyInputs,
  text: stringNormalizer,
  free: freeDimensions,
  add,
  softmax: softmaxAxis0,
  log: notFinite,
  rows: () => identity(),
  words: () => identity('string', ['N', 1]),
  ...Object.fromEntries(NOT_JOINED.map(([title, model]) => [title, model])),
};

/** Parts that depend on responses alone, each with a model of its own: one server has the models. */
export function severalModels(kind: HostKind): void {
  describe('several models', { concurrency: 1 }, () => {
    const root = mkdtempSync(join(tmpdir(), 'several-models-'));
    after(() => rmSync(root, { recursive: true }));
    const host = useHost(kind, () => {
      for (const [name, model] of Object.entries(MODELS)) writeModel(root, name, model());
      const memory = { MODEL_MEMORY_BUDGET: String(2 ** 31) };
      return { MODEL_URI: root, MODEL_NAME: 'any-rank', INFERENCE_PROCESSES: '1', ...memory };
    });
    /** The host with another model behind /predict and /batch_predict. */
    const at = (name: string) => (): Host => ({ ...host(), url: `${host().url}/models/${encodeURIComponent(name)}` });

    anyRank(host);
    batchPredict(at('half'), kind);
    values(at('every-dtype'));
    tables(at('table'));
    texts(at('text'));
    notJoined(at);
    openInferenceInputs(host);
    openInferenceTensors(host);
  });
}
