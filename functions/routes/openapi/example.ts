import type { Feeds } from '../../engine/batch-rows.ts';
import type { Manifest } from '../../model/folder/manifest.ts';
import { syntheticRow } from '../../model/serving/batching-decision.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { decodeNested } from '../../tensor/decode.ts';
import { encodeFlat, encodeNested, encodeRow } from '../../tensor/encode.ts';
import { toPlain } from '../../tensor/json/plain.ts';
import { type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { elementCount, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import { DATATYPES } from '../open-inference/datatype.ts';
import type { Examples } from './document-context.ts';

/** Most elements of an example's tensor: those of an image would make the document too large to read. */
const MAX_ELEMENTS = 1000;

/** A PNG of one pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGM4kWIEAANWAV/oF4RSAAAAAElFTkSuQmCC';

/** The length of a free dimension after the second of an image or a volume: a model may take no picture of one pixel. */
const FREE_SIDE = 224;

/**
 * Makes examples of a valid row: the manifest's example, or else a golden row, or else a synthetic row. Undefined if the row has
 * too many elements to be shown.
 */
export function makeExamples({
  manifest,
  signature,
  rows,
  examples,
}: Pick<Generation, 'manifest' | 'signature' | 'rows' | 'examples'>): Examples | undefined {
  const { inputs } = signature;
  const example = manifest.example ?? examples[0];
  const free = (shape: readonly number[], axis: number): number =>
    example === undefined && shape.length > 3 && axis > 1 ? FREE_SIDE : 1;
  const least = inputs.map(({ shape }) =>
    elementCount(shape.map((dim, axis) => (dim === -1 ? free(shape, axis) : dim))),
  );
  if (least.some((count) => count > MAX_ELEMENTS)) return undefined;
  const decoded =
    example === undefined
      ? withCategories(syntheticRow(signature, undefined, 0), signature, manifest)
      : rows.decode(example.features, 'example');
  const tensors = (decoded.tensors as readonly Tensor[]).map((tensor, i) =>
    asSent(tensor, inputs[i]!, example === undefined),
  );
  if (tensors.some(({ dims }) => elementCount(dims) > MAX_ELEMENTS)) return undefined;
  const values = inputs.map(({ name, shape }, i) => {
    const isRow = shape[0] === -1 || shape[0] === 1;
    return [name, parse(isRow ? encodeRow(tensors[i]!, 0) : encodeNested(tensors[i]!))] as const;
  });
  const synthetic = values.length === 1 ? values[0]![1] : Object.fromEntries(values);
  return {
    features: example === undefined ? synthetic : plainFeatures(signature, example.features),
    tensors: inputs.map(({ name, dtype }, i) => {
      const tensor = tensors[i]!;
      return { name, datatype: DATATYPES[dtype], shape: tensor.dims, data: parse(encodeFlat(tensor)) };
    }),
    columns: Object.fromEntries(inputs.map(({ name }, i) => [name, parse(encodeNested(tensors[i]!))])),
  };
}

/** A tensor as JSON dialects have it: bytes as base64. @param isMadeUp the bytes are no picture, and one of a pixel is shown */
function asSent(tensor: Tensor, { bytes }: TensorSpec, isMadeUp: boolean): Tensor {
  if (bytes !== true) return tensor;
  const texts = tensor.data as readonly string[];
  return { ...tensor, data: texts.map((text) => (isMadeUp ? PIXEL : Buffer.from(text, 'latin1').toString('base64'))) };
}

/** Puts the first category of each feature or input that has some into a synthetic row. */
function withCategories<T extends Feeds>(row: T, { inputs }: Signature, { input }: Manifest): T {
  for (const [name, [first]] of Object.entries(input?.categories ?? {})) {
    const place = input?.features?.indexOf(name) ?? -1;
    const slot = place === -1 ? inputs.findIndex((spec) => spec.name === name) : 0;
    const { dtype, data } = row.tensors[slot] as Tensor;
    const [value] = decodeNested([first!], dtype, [1], name).data;
    (data as unknown[]).fill(value, place === -1 ? 0 : place, place === -1 ? data.length : place + 1);
  }
  return row;
}

function parse(text: string): unknown {
  const bytes = Buffer.from(text);
  return toPlain(readJson(bytes));
}

/**
 * The features of a row as `toPlain`, to be read by people. Exporters write a float32 with the digits of a double,
 * 14.229999542236328: it becomes the shortest decimal of the same float32, 14.23. A model with an input of float64 keeps all digits.
 */
export function plainFeatures({ inputs }: Signature, features: JsonValue): unknown {
  return toPlain(features, inputs.some(({ dtype }) => dtype === 'float64') ? undefined : shortest);
}

function shortest(value: number): number {
  if (Number.isInteger(value) || Math.fround(value) !== value) return value;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
