import type { Feeds } from '../../engine/batch-rows.ts';
import { ServingError } from '../../errors.ts';
import { listNames, shorten } from '../../shorten.ts';
import { isBase64 } from '../../tensor/base64.ts';
import { decodeNested, decodeInput as decodeTensor, depthOf } from '../../tensor/decode.ts';
import { toPlain } from '../../tensor/json/plain.ts';
import { isArray, isObject, type JsonObject, type JsonValue } from '../../tensor/json/reader.ts';
import { elementTypeOf, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';

/** Feeds of one row, or of complete input tensors. */
export interface RowFeeds extends Feeds {
  /** The caller gave one row: the response omits a leading dimension 1 of each output. */
  readonly isRow: boolean;
}

/** The arguments of a decoder, as plain data: another thread creates the same decoder from them. */
export interface RowForm {
  readonly signature: Signature;
  readonly names: readonly string[] | undefined;
  readonly joinsRows: boolean;
}

/** Converts the `features` of a request to feeds. */
export interface RowDecoder {
  readonly form: RowForm;
  /** @throws ServingError `INVALID_INPUT` with the path of the fault, what was expected and what was given */
  decode(features: JsonValue, path: string): RowFeeds;
}

/**
 * Creates the decoder of a model.
 * @param names the names of the values in a row of a one-input model, from the manifest
 * @param joinsRows whether the model's rows are joined. Then only rows are accepted: a complete tensor, with the batch dimension,
 * is refused. Otherwise a row or a complete tensor is accepted, distinguished by the nesting of its arrays.
 */
export function createRowDecoder(
  signature: Signature,
  names: readonly string[] | undefined,
  joinsRows: boolean,
): RowDecoder {
  const { inputs } = signature;
  const only = inputs.length === 1 ? inputs[0]! : undefined;
  const rowShapes = new Map(inputs.map((spec) => [spec, spec.shape.slice(1)]));
  const inputNames = new Set(inputs.map(nameOf));
  const featureNames = new Set(names);
  const inputList = listNames(inputs.map(nameOf));

  function decode(features: JsonValue, path: string): RowFeeds {
    if (only?.json) return feedsOf([{ tensor: encodeText(features), isRow: true }]);
    if (!isObject(features) || (only?.bytes === true && isBase64(features))) {
      if (only !== undefined) return feedsOf([decodeInput(features, only, path)]);
      throw invalid(path, `expected an object with the inputs ${inputList}`, features);
    }
    if (only !== undefined && !Object.hasOwn(features, only.name)) {
      if (names !== undefined)
        return feedsOf([decodeInput(fromNames(features, names, featureNames, path), only, path)]);
      throw invalid(path, `expected the values of a row, or an object with the input ${only.name}`, features);
    }
    for (const name in features) {
      if (!inputNames.has(name)) {
        throw invalid(join(path, name), `the model has no such input; its inputs are ${inputList}`);
      }
    }
    return feedsOf(
      inputs.map((input) => {
        if (!Object.hasOwn(features, input.name)) throw invalid(join(path, input.name), 'this input is missing');
        return decodeInput(features[input.name]!, input, join(path, input.name));
      }),
    );
  }

  function decodeInput(value: JsonValue, spec: TensorSpec, path: string): InputRow {
    const rank = spec.shape.length;
    const rowShape = rowShapes.get(spec)!;
    const depth = depthOf(value);
    const canBeRow = spec.shape[0] === -1 || spec.shape[0] === 1;
    if (rank === 0 || !canBeRow || (!joinsRows && depth === rank)) {
      const tensor = decodeTensor(value, spec, path);
      return { tensor, isRow: tensor.dims.length === 0 };
    }
    // A row of a column has shape [1]: its value may be without brackets.
    const bare = depth === 0 && rowShape.length > 0 && rowShape.every((dim) => dim === 1);
    const { dtype, dims, data } = decodeNested(value, elementTypeOf(spec), bare ? [] : rowShape, path);
    return { tensor: { dtype, dims: [1, ...(bare ? rowShape : dims)], data }, isRow: true };
  }

  return { form: { signature, names, joinsRows }, decode };
}

/** Any JSON, as the text of it, with all digits of its integers. */
const encodeText = (value: JsonValue): Tensor => ({
  dtype: 'string',
  dims: [1],
  data: [JSON.stringify(toPlain(value))],
});

interface InputRow {
  readonly tensor: Tensor;
  readonly isRow: boolean;
}

function feedsOf(inputs: readonly InputRow[]): RowFeeds {
  return { tensors: inputs.map(({ tensor }) => tensor), rows: 1, isRow: inputs.every(({ isRow }) => isRow) };
}

function fromNames(
  features: JsonObject,
  names: readonly string[],
  known: ReadonlySet<string>,
  path: string,
): JsonValue[] {
  for (const name in features) {
    if (!known.has(name)) throw invalid(join(path, name), `no such feature; the features are ${listNames(names)}`);
  }
  return names.map((name) => {
    if (!Object.hasOwn(features, name)) throw invalid(join(path, name), 'this feature is missing');
    return features[name]!;
  });
}

const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/;
const join = (path: string, name: string): string =>
  PLAIN_NAME.test(name) ? `${path}.${shorten(name)}` : `${path}[${JSON.stringify(shorten(name))}]`;
const nameOf = (spec: TensorSpec): string => spec.name;

function invalid(path: string, message: string, given?: JsonValue): ServingError {
  const got = given === undefined ? '' : `, got ${kindOf(given)}`;
  return new ServingError('INVALID_INPUT', `${path}: ${message}${got}`, { path });
}

function kindOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (isArray(value)) return `an array of ${value.length}`;
  return typeof value === 'object' ? `an object with the keys ${listNames(Object.keys(value))}` : `a ${typeof value}`;
}
