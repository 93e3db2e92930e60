import { basename } from 'node:path';
import { readRowIndependence } from '../../batching/read-row-independence.ts';
import type { Feeds } from '../../engine/batch-rows.ts';
import { createRowDecoder, type RowForm } from '../../model/folder/rows.ts';
import { mayBatch, syntheticRow } from '../../model/serving/batching-decision.ts';
import type { Signature } from '../../tensor/tensor.ts';
import type { LocalModel } from '../samples/local-model.ts';
import { readSamples } from '../samples/samples.ts';

/** Rows to compare two models over, and where they are from. */
export interface ComparedRows {
  readonly rows: readonly Feeds[];
  /** For a person: `golden.json`, `rows of rows.csv`, `synthetic rows`. */
  readonly from: string;
  /** They were made up: a model may refuse them. */
  readonly isSynthetic: boolean;
}

/** Enough for every class of a small classifier; a large model is run as often. */
const MOST_ROWS = 256;
const SYNTHETIC_ROWS = 16;

/**
 * Rows for a model: those of the file of samples, else those of its golden.json, else the example of its model.json, else made-up ones
 * with each free dimension 1 long.
 * @param samples see `readSamples`
 * @throws ServingError `INVALID_INPUT` for samples that do not fit the model
 */
export function rowsOf(model: LocalModel, signature: Signature, samples: string | undefined): ComparedRows {
  const { golden, manifest, path } = model;
  const graph = readRowIndependence(path);
  const joinsRows = mayBatch({ signature, manifest: manifest.batching, graph });
  const form: RowForm = { signature, names: manifest.input?.features, joinsRows };
  if (samples !== undefined) {
    const rows = [...readSamples(samples, form, MOST_ROWS)].map(({ feeds }) => feeds);
    return { rows, from: basename(samples), isSynthetic: false };
  }
  const decoder = createRowDecoder(signature, form.names, joinsRows);
  const given = golden?.rows.slice(0, MOST_ROWS).map(({ features }) => features);
  if (given !== undefined && given.length > 0) {
    const rows = given.map((features, row) => decoder.decode(features, `golden.json: rows[${row}].features`));
    return { rows, from: 'golden.json', isSynthetic: false };
  }
  const example = manifest.example && decoder.decode(manifest.example.features, 'model.json: example.features');
  const made = Array.from({ length: SYNTHETIC_ROWS }, (_, row) => syntheticRow(signature, example, row));
  if (example !== undefined)
    return { rows: [example, ...made], from: 'the example of model.json, and rows like it', isSynthetic: false };
  return { rows: made, from: 'synthetic rows', isSynthetic: true };
}
