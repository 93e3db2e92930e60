import { readRowIndependence } from '../../batching/read-row-independence.ts';
import { cpuShare, measureCapacity } from '../../engine/capacity.ts';
import { ServingError } from '../../errors.ts';
import type { RowForm } from '../../model/folder/rows.ts';
import { mayBatch } from '../../model/serving/batching-decision.ts';
import { checkManifest } from '../../model/serving/manifest-check.ts';
import { createService } from '../golden/service.ts';
import { writeJson } from '../golden/write-json.ts';
import { requestBytes } from '../loadtest/http/request.ts';
import { openEngine } from '../measure/engine.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { readSamples } from '../samples/samples.ts';
import type { Facts } from './settings.ts';

/** A model before it is tuned. */
export interface Prepared {
  readonly facts: Facts;
  /** Makes the requests, once a server is ready: a model without rows gets its example. */
  requestsFor(url: string): Promise<readonly Buffer[]>;
  /** Where the rows are from, for people. */
  readonly from: string;
}

/** The most rows that are sent in turn. */
const MOST_ROWS = 100;

/**
 * Loads the model once, and reads the rows: of a file, of its golden.json, or the example of its model.json or of the server.
 * @throws ServingError if it does not load, or for a row that it does not take
 */
export async function prepare(model: LocalModel, file: string | undefined, signal: AbortSignal): Promise<Prepared> {
  const engine = await openEngine({ path: model.path, signal });
  const { signature, weights } = engine.loaded;
  await engine.close();
  const { manifest, golden, path } = model;
  checkManifest(manifest, signature);
  const graph = readRowIndependence(path);
  const joinsRows = mayBatch({ signature, manifest: manifest.batching, graph });
  const facts = { cpus: Math.max(1, cpuShare(measureCapacity(), 1)), joinsRows, canMap: weights.mappedBytes > 0 };
  const bodyOf = (features: Parameters<typeof writeJson>[0]): Buffer =>
    requestBytes('POST', '/predict', `{"features":${writeJson(features)}}`);
  const form: RowForm = { signature, names: manifest.input?.features, joinsRows };
  const known = file === undefined ? golden?.rows.map(({ features }) => features) : undefined;
  const given = file === undefined ? known : [...readSamples(file, form, MOST_ROWS)].map(({ features }) => features);
  const rows = given ?? (manifest.example === undefined ? undefined : [manifest.example.features]);
  return {
    facts,
    from: file ?? (known === undefined ? 'the example of the model' : 'its golden.json'),
    async requestsFor(url) {
      if (rows !== undefined) return rows.slice(0, MOST_ROWS).map(bodyOf);
      try {
        return [bodyOf(await createService({ url, signal }).example())];
      } catch (cause) {
        signal.throwIfAborted();
        const message = `${model.place}: its rows are too large to make one up: give a file of rows`;
        throw new ServingError('INVALID_INPUT', message, { cause });
      }
    },
  };
}
