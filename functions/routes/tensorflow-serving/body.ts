import { ServingError } from '../../errors.ts';
import type { RowDecoder } from '../../model/folder/rows.ts';
import { listNames } from '../../shorten.ts';
import { isBase64 } from '../../tensor/base64.ts';
import { decodeInput, decodeNested } from '../../tensor/decode.ts';
import { describe } from '../../tensor/fill.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import { isArray, isObject } from '../../tensor/json/reader.ts';
import { elementTypeOf, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import { takesText, unpackText } from '../instances/base64.ts';
import { type Instances, readInstances } from '../instances/instances.ts';

/** A body of `:predict`, decoded. Plain data: it may come from another thread. */
export type PredictBody =
  | { readonly form: 'row'; readonly instances: Instances }
  | { readonly form: 'column'; readonly tensors: readonly Tensor[] };

/** The name of the only signature of an ONNX model: the default name in a SavedModel. */
export const SIGNATURE_NAME = 'serving_default';

/**
 * Decodes `{"signature_name"?, "instances": [row, …]}`, or `{"signature_name"?, "inputs": …}` with entire tensors: that of the
 * only input, or an object of them by name. Other keys are ignored, as TensorFlow Serving does.
 * @throws ServingError `INVALID_INPUT` with the path of the invalid value.
 */
export function readTensorFlowBody(body: JsonValue, rows: RowDecoder): PredictBody {
  if (!isObject(body)) throw invalid('', `expected an object with instances or inputs, got ${describe(body)}`);
  checkSignature(body.signature_name);
  const { instances, inputs } = body;
  if (instances !== undefined && inputs !== undefined) {
    throw invalid('', 'has instances and inputs: send one of them, rows as instances or entire tensors as inputs');
  }
  if (instances !== undefined) return { form: 'row', instances: readInstances(instances, rows) };
  if (inputs !== undefined) return { form: 'column', tensors: readColumns(inputs, rows.form.signature) };
  throw invalid(
    '',
    'has neither instances nor inputs: send {"instances": [row, …]}, or {"inputs": …} with entire tensors',
  );
}

function checkSignature(name: JsonValue | undefined): void {
  if (name === undefined || name === '' || name === SIGNATURE_NAME) return;
  const given = describe(name);
  throw invalid('signature_name', `expected "${SIGNATURE_NAME}", the only signature, got ${given}`);
}

function readColumns(given: JsonValue, signature: Signature): readonly Tensor[] {
  const { inputs } = signature;
  const value = takesText(signature) ? unpackText(given, signature, 'inputs') : given;
  if (!isObject(value) || isBase64(value)) {
    if (inputs.length === 1) return [readColumn(value, inputs[0]!, 'inputs')];
    throw invalid('inputs', `expected an object with the inputs ${listOf(inputs)}, got ${describe(value)}`);
  }
  return readNamed(value, inputs);
}

function readNamed(columns: JsonObject, inputs: readonly TensorSpec[]): readonly Tensor[] {
  const names = new Set(inputs.map(({ name }) => name));
  for (const name in columns) {
    if (names.has(name)) continue;
    throw invalid('inputs', `the model has no input ${describe(name)}; its inputs are ${listOf(inputs)}`);
  }
  return inputs.map((input) => {
    const path = `inputs.${input.name}`;
    if (!Object.hasOwn(columns, input.name)) throw invalid(path, 'this input is missing');
    return readColumn(columns[input.name]!, input, path);
  });
}

/** Decodes an input. Values of a column may lack their own brackets, as in a row. */
function readColumn(value: JsonValue, spec: TensorSpec, path: string): Tensor {
  const { shape } = spec;
  const bare = shape.length > 1 && isArray(value) && !isArray(value[0]) && shape.slice(1).every((dim) => dim === 1);
  if (!bare || value.length === 0) return decodeInput(value, spec, path);
  const { dtype, dims, data } = decodeNested(value, elementTypeOf(spec), shape.slice(0, 1), path);
  return { dtype, dims: [...dims, ...shape.slice(1)], data };
}

const listOf = (inputs: readonly TensorSpec[]): string => listNames(inputs.map(({ name }) => name));

function invalid(path: string, message: string): ServingError {
  return new ServingError(
    'INVALID_INPUT',
    `${path === '' ? 'the body' : path}: ${message}`,
    path === '' ? {} : { path },
  );
}
