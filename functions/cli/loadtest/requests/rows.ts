import { readFileSync } from 'node:fs';
import { parseGolden } from '../../../model/folder/manifest.ts';
import { createRowDecoder, type RowFeeds } from '../../../model/folder/rows.ts';
import { encodeNested, encodeRow } from '../../../tensor/encode.ts';
import { toPlain } from '../../../tensor/json/plain.ts';
import type { JsonObject, JsonValue } from '../../../tensor/json/reader.ts';
import { DTYPES, elementCount, type Tensor, type TensorSpec } from '../../../tensor/tensor.ts';
import { readSamples } from '../../samples/samples.ts';
import type { LiveModel } from './live-model.ts';

/** A row that is sent. */
export interface Row {
  /** The JSON text of its `features`. */
  readonly features: string;
  readonly feeds: RowFeeds;
  /** Where it comes from. */
  readonly place: string;
  /** The outputs that are expected, by name. */
  readonly expected?: JsonObject;
}

/** Rows, and a text that says where they come from. */
export interface Rows {
  readonly rows: readonly Row[];
  readonly source: string;
}

/** The most rows of a file that are sent, in turn: their requests are kept in memory. */
const MOST_ROWS = 10_000;
/** The length of a free dimension after the second of an image: a model may take no picture of one pixel. */
const FREE_SIDE = 224;

/**
 * The rows of a file of samples.
 * @param isChecked the file is a golden.json, whose outputs are expected
 * @throws ServingError that names the line and the column, or the error of the system
 */
export function readRows(file: string, { form }: LiveModel, isChecked = false): Rows {
  const expected = isChecked ? parseGolden(readFileSync(file, 'utf8'), file).rows.map(({ outputs }) => outputs) : [];
  const rows = Array.from(readSamples(file, form, MOST_ROWS), ({ features, feeds, place }, i) => ({
    features: textOf(features),
    feeds,
    place,
    ...(expected[i] !== undefined && { expected: expected[i] }),
  }));
  return { rows, source: `${rows.length === MOST_ROWS ? 'the first ' : ''}${rows.length} rows of ${file}` };
}

/** The golden rows that the server shows, with the outputs that are expected. */
export function goldenRows(model: LiveModel): Rows {
  const decoder = decoderOf(model);
  const rows = model.golden.map(({ features, outputs }, i) => {
    const place = `golden row ${i} of the server`;
    return { features: textOf(features), feeds: decoder.decode(features, place), place, expected: outputs };
  });
  return { rows, source: `${rows.length} golden rows of the server` };
}

/** The example of the model, or zeros if it has none. */
export function exampleRow(model: LiveModel): Rows {
  const { example, form } = model;
  if (example !== undefined) {
    const feeds = decoderOf(model).decode(example, 'example');
    return { rows: [{ features: textOf(example), feeds, place: 'the example' }], source: "the model's example" };
  }
  const { inputs } = form.signature;
  const tensors = inputs.map(zeros);
  const isRow = tensors.every(({ dims }) => dims[0] === 1);
  const values = tensors.map((tensor) => (isRow ? textOfRow(tensor) : encodeNested(tensor)));
  const named = `{${inputs.map(({ name }, i) => `${JSON.stringify(name)}:${values[i]}`)}}`;
  const features = inputs.length === 1 ? values[0]! : named;
  const place = "zeros of the model's signature";
  return { rows: [{ features, feeds: { tensors, rows: 1, isRow }, place }], source: place };
}

const decoderOf = ({ form }: LiveModel) => createRowDecoder(form.signature, form.names, form.joinsRows);
const textOf = (features: JsonValue): string => JSON.stringify(toPlain(features));

function zeros({ dtype, shape }: TensorSpec): Tensor {
  const dims = shape.map((dim, axis) => (dim !== -1 ? dim : shape.length > 3 && axis > 1 ? FREE_SIDE : 1));
  return { dtype, dims, data: DTYPES[dtype].make(elementCount(dims)) };
}

/** The JSON of the value that a row has for an input. */
export const textOfRow = (tensor: Tensor): string =>
  tensor.dims[0] === 1 ? encodeRow(tensor, 0) : encodeNested(tensor);
