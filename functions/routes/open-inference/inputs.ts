import { ServingError } from '../../errors.ts';
import { listNames, shorten } from '../../shorten.ts';
import { decodeFlat } from '../../tensor/decode.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, type JsonValue, MAX_DEPTH, MAX_VALUES } from '../../tensor/json/reader.ts';
import { elementCount, elementTypeOf, type Signature, type Tensor, type TensorSpec } from '../../tensor/tensor.ts';
import { readBinary } from './binary-in.ts';
import { DATATYPES } from './datatype.ts';
import { invalid, readParameters, slotsOf } from './members.ts';

/** A dimension is sent to the engine process in 32 bits. */
const MAX_DIM = 2 ** 31 - 1;
/** Longest dimension of a tensor without elements, whose number of rows the body does not bound. */
const MAX_EMPTY = 32_768;

/**
 * Decodes the tensors of `inputs`; the result has the order of the signature.
 * @param binary the bytes after the JSON text: the data of the binary inputs, concatenated in the order of the request.
 * @throws ServingError `INVALID_INPUT` that names the input.
 */
export function readInputs(inputs: JsonValue | undefined, signature: Signature, binary: Uint8Array): Tensor[] {
  if (!Array.isArray(inputs)) {
    throw invalid(
      'inputs',
      `inputs: expected an array of tensors, got ${inputs === undefined ? 'none' : describe(inputs)}`,
    );
  }
  const tensors: (Tensor | undefined)[] = signature.inputs.map(() => undefined);
  const slots = slotsOf(signature.inputs);
  let at = 0;
  for (const [i, input] of inputs.entries()) {
    const place = `inputs[${i}]`;
    if (!isObject(input)) throw invalid(place, `${place}: expected an object with a name, got ${describe(input)}`);
    const slot = findSlot(input, slots, place);
    if (tensors[slot] !== undefined) throw invalid(place, `${place}: the input ${describe(input.name)} is given twice`);
    const spec = signature.inputs[slot]!;
    try {
      const dims = readShape(input, spec, place);
      const size = readBinarySize(input, place);
      if (size === undefined) {
        const data = isFloat(spec) ? missingAsNaN(input.data!) : input.data!;
        tensors[slot] = decodeFlat(data, elementTypeOf(spec), dims, `${place}.data`);
      } else {
        if (size > binary.length - at) throw tooShort(size, binary.length - at, place);
        tensors[slot] = readBinary(binary.subarray(at, at + size), elementTypeOf(spec), dims, place);
        at += size;
      }
    } catch (error) {
      throw named(error, spec.name);
    }
  }
  const missing = tensors.indexOf(undefined);
  if (missing !== -1) {
    throw invalid('inputs', `inputs: the input ${shorten(signature.inputs[missing]!.name)} is missing`);
  }
  if (at === binary.length) return tensors as Tensor[];
  const message = `${binary.length} bytes follow the JSON text, and the inputs' binary_data_size sum up to ${at}`;
  throw invalid('inputs', `inputs: ${message}`);
}

const isFloat = ({ dtype }: TensorSpec): boolean => dtype === 'float32' || dtype === 'float64' || dtype === 'float16';

/** KServe's client writes NaN as null. Changes `value`. */
function missingAsNaN(value: JsonValue): JsonValue {
  if (!Array.isArray(value)) return value;
  for (let i = 0; i < value.length; i++) {
    const one = value[i]!;
    if (one === null) value[i] = Number.NaN;
    else if (typeof one === 'object') missingAsNaN(one);
  }
  return value;
}

function findSlot({ name }: JsonObject, slots: ReadonlyMap<JsonValue | undefined, number>, place: string): number {
  const slot = slots.get(name);
  if (slot !== undefined) return slot;
  const names = listNames([...slots.keys()] as string[]);
  throw invalid(`${place}.name`, `${place}.name: expected one of the inputs ${names}, got ${describe(name)}`);
}

/** The dims of an input, whose datatype and shape are checked against the signature. */
function readShape({ datatype, shape }: JsonObject, spec: TensorSpec, place: string): number[] {
  const { dtype, shape: expected, anyRank } = spec;
  if (datatype !== DATATYPES[dtype]) {
    throw invalid(`${place}.datatype`, `${place}.datatype: expected ${DATATYPES[dtype]}, got ${describe(datatype)}`);
  }
  const path = `${place}.shape`;
  if (!Array.isArray(shape) && !(shape instanceof Float64Array)) {
    throw invalid(path, `${path}: expected an array of integers, got ${describe(shape)}`);
  }
  if (anyRank && shape.length > MAX_DEPTH) {
    throw invalid(path, `${path}: expected at most ${MAX_DEPTH} dimensions, got ${shape.length}`);
  }
  const dims: number[] = [];
  for (const [axis, dim] of shape.entries()) {
    if (typeof dim !== 'number' || !Number.isInteger(dim) || dim < 0 || dim > MAX_DIM) {
      throw invalid(
        `${path}[${axis}]`,
        `${path}[${axis}]: expected an integer from 0 to ${MAX_DIM}, got ${describe(dim)}`,
      );
    }
    dims.push(dim);
  }
  // Clients without rank 0 send [1] for a scalar.
  if (expected.length === 0 && !anyRank && dims.length === 1 && dims[0] === 1) return [];
  const fits =
    anyRank ||
    (dims.length === expected.length && dims.every((dim, axis) => expected[axis] === -1 || expected[axis] === dim));
  if (!fits)
    throw invalid(
      path,
      `${path}: expected [${expected.join(',')}] (-1 for any length), got [${dims.slice(0, 16).join(',')}]`,
    );
  if (elementCount(dims) === 0 && dims.some((dim) => dim > MAX_EMPTY)) {
    throw invalid(
      path,
      `${path}: expected at most ${MAX_EMPTY} in a dimension of an empty tensor, got [${dims.join(',')}]`,
    );
  }
  if (dtype === 'string' && elementCount(dims) > MAX_VALUES) {
    throw invalid(path, `${path}: expected at most ${MAX_VALUES} texts in one request, got ${elementCount(dims)}`);
  }
  return dims;
}

/** The number of bytes of binary data of an input; undefined if its data is JSON. */
function readBinarySize(input: JsonObject, place: string): number | undefined {
  const size = readParameters(input, place)?.binary_data_size;
  if ((size === undefined) === (input.data === undefined)) {
    const both = size === undefined ? 'it has neither' : 'it has both';
    throw invalid(place, `${place}: expected data, or parameters.binary_data_size and binary data; ${both}`);
  }
  if (size === undefined || (typeof size === 'number' && Number.isInteger(size) && size >= 0)) return size;
  const path = `${place}.parameters.binary_data_size`;
  throw invalid(path, `${path}: expected a number of bytes, got ${describe(size)}`);
}

function tooShort(size: number, left: number, place: string): ServingError {
  const path = `${place}.parameters.binary_data_size`;
  const message = `${path}: it says ${size} bytes, and ${left} are left behind the JSON text, whose length Inference-Header-Content-Length has to say`;
  return invalid(path, message);
}

/** The error with the name of the input before its message. */
function named(error: unknown, name: string): unknown {
  if (!(error instanceof ServingError)) return error;
  const { code, message, path } = error;
  return new ServingError(code, `input ${shorten(name)}: ${message}`, path === undefined ? {} : { path });
}
