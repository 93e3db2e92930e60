import { readRowIndependence } from '../../batching/read-row-independence.ts';
import { cpuShare, measureCapacity } from '../../engine/capacity.ts';
import type { RowForm } from '../../model/folder/rows.ts';
import { mayBatch, syntheticRow } from '../../model/serving/batching-decision.ts';
import { checkManifest } from '../../model/serving/manifest-check.ts';
import { encodeNested, encodeRow } from '../../tensor/encode.ts';
import type { Signature } from '../../tensor/tensor.ts';
import { writeJson } from '../golden/write-json.ts';
import { requestBytes } from '../loadtest/http/request.ts';
import { openEngine } from '../measure/engine.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { readSamples } from '../samples/samples.ts';
import type { Facts } from './settings.ts';

/** A model before it is tuned. */
export interface Prepared {
  readonly facts: Facts;
  /** Bytes of the model's files that engine processes can map. */
  readonly mappedBytes: number;
  /** What is sent, in turn. */
  readonly requests: readonly Buffer[];
  /** Where the rows are from, for people. */
  readonly from: string;
}

/** The most rows that are sent in turn. */
const MOST_ROWS = 100;

/**
 * Loads the model once, and reads the rows: of a file, of its golden.json, or the example of its model.json; else it makes one up, as the
 * server does for its warm-up.
 * @throws ServingError if it does not load, or for a row that it does not take
 */
export async function prepare(model: LocalModel, file: string | undefined, signal: AbortSignal): Promise<Prepared> {
  const engine = await openEngine({ path: model.path, signal });
  const { signature, weights } = engine.loaded;
  const { mappedBytes } = weights;
  await engine.close();
  const { manifest, path } = model;
  checkManifest(manifest, signature);
  const graph = readRowIndependence(path);
  const joinsRows = mayBatch({ signature, manifest: manifest.batching, graph });
  const facts = { cpus: Math.max(1, cpuShare(measureCapacity(), 1)), joinsRows, canMap: mappedBytes > 0 };
  const { from, rows } = findRows(model, file, { signature, names: manifest.input?.features, joinsRows });
  const requests = rows.slice(0, MOST_ROWS).map((row) => requestBytes('POST', '/predict', `{"features":${row}}`));
  return { facts, mappedBytes, requests, from };
}

/** @returns the `features` of each row as JSON */
function findRows({ golden, manifest }: LocalModel, file: string | undefined, form: RowForm) {
  if (file !== undefined) {
    const samples = [...readSamples(file, form, MOST_ROWS)];
    return { from: file, rows: samples.map(({ features }) => writeJson(features)) };
  }
  if (golden !== undefined)
    return { from: 'golden.json', rows: golden.rows.map(({ features }) => writeJson(features)) };
  if (manifest.example !== undefined) return { from: 'model.json', rows: [writeJson(manifest.example.features)] };
  return { from: 'made-up values', rows: [syntheticFeatures(form.signature)] };
}

function syntheticFeatures(signature: Signature): string {
  const { tensors } = syntheticRow(signature, undefined, 0);
  const values = signature.inputs.map(({ shape }, i) =>
    shape[0] === -1 || shape[0] === 1 ? encodeRow(tensors[i]!, 0) : encodeNested(tensors[i]!),
  );
  if (values.length === 1) return values[0]!;
  return `{${values.map((value, i) => `${JSON.stringify(signature.inputs[i]!.name)}:${value}`).join()}}`;
}
