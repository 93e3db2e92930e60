/** Values between a model's `transform.ts` and tensors. */
import { decodeInput, decodeNested, depthOf } from '../../tensor/decode.ts';
import { encodeFlat } from '../../tensor/encode.ts';
import { FILLS } from '../../tensor/fill.ts';
import type { JsonValue } from '../../tensor/json/reader.ts';
import {
  DTYPES,
  type DType,
  elementCount,
  float16View,
  type Signature,
  type Tensor,
  type TensorData,
  type TensorSpec,
} from '../../tensor/tensor.ts';
import type { Tensor as AuthorsTensor } from '../../transform.ts';

/** Of V8 (https://github.com/tc39/proposal-json-parse-with-source), which TypeScript does not declare. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
/** Digits of which a double may not hold all: 2^53 has 16. */
const MANY_DIGITS = /\d{16}/;
const INTEGER = /^-?\d+$/;

/** A body's value. Integers beyond ±(2^53-1) are bigints: their digits may be those of an id. @throws SyntaxError if it is not JSON */
export function parseBody(text: string): unknown {
  if (!MANY_DIGITS.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    const isLost = typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined;
    return isLost && INTEGER.test(source) ? BigInt(source) : value;
  });
}

/** The outputs of a row for `postprocess`, in memory of their own: by name, with the dims that the model gave. */
export function outputsOf(tensors: readonly Tensor[], { outputs }: Signature): Record<string, AuthorsTensor> {
  const named: Record<string, AuthorsTensor> = Object.create(null);
  for (const [i, { dtype, dims, data }] of tensors.entries()) {
    const own = dtype === 'float16' ? Float32Array.from(float16View(data)) : data.slice();
    named[outputs[i]!.name] = { dtype, dims, data: own as AuthorsTensor['data'] };
  }
  return named;
}

/** The JSON of an answer. NaN and the infinities are strings, as everywhere in responses. @throws TypeError for what has no JSON */
export function answerOf(value: unknown): string {
  const text = JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner === 'bigint') return rawJSON(String(inner));
    if (typeof inner === 'number' && !Number.isFinite(inner)) return String(inner);
    return ArrayBuffer.isView(inner) ? listOf(inner) : inner;
  }) as string | undefined;
  if (text === undefined) throw new TypeError(`postprocess: expected a value that JSON has, got ${typeof value}`);
  return text;
}

/** The elements of a typed array. A float32 is the shortest double that reads back as it: 0.1, not 0.10000000149011612. */
function listOf(view: ArrayBufferView): unknown {
  if (!(view instanceof Float32Array)) return Array.from(view as Uint8Array);
  return JSON.parse(encodeFlat({ dtype: 'float32', dims: [view.length], data: view }));
}

/**
 * Converts what `preprocess` has returned to tensors of one row.
 * @returns a tensor for each input, in the order of the signature, in memory of its own
 * @throws Error that names the input, what was expected and what was given
 */
export function feedsOf(returned: unknown, { inputs }: Signature): Tensor[] {
  const names = inputs.map(({ name }) => name).join(', ');
  if (!isRecord(returned)) {
    throw new TypeError(`preprocess: expected an object with the inputs ${names}, got ${kindOf(returned)}`);
  }
  const other = Object.keys(returned).find((name) => !inputs.some((input) => input.name === name));
  if (other !== undefined) throw new TypeError(`preprocess: the model has no input ${other}; it has ${names}`);
  return inputs.map((spec) => {
    if (!Object.hasOwn(returned, spec.name)) throw new TypeError(`preprocess: the input ${spec.name} is missing`);
    const value = returned[spec.name];
    const path = `preprocess: ${spec.name}`;
    if (ArrayBuffer.isView(value)) return fromFlat({ data: value }, spec, path);
    return isRecord(value) ? fromFlat(value, spec, path) : fromNested(plain(value) as JsonValue, spec, path);
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) || ArrayBuffer.isView(value) ? 'an array' : typeof value;
}

/** Nested arrays with typed arrays in them as arrays alone. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return ArrayBuffer.isView(value) ? Array.from(value as Uint8Array) : value;
}

/** Whether dimension 0 is that of the rows. */
const hasRows = ({ shape }: TensorSpec): boolean => shape[0] === -1 || shape[0] === 1;

function fromNested(value: JsonValue, spec: TensorSpec, path: string): Tensor {
  const { dtype, shape } = spec;
  if (!hasRows(spec)) return decodeInput(value, spec, path);
  const row = shape.slice(1);
  const depth = depthOf(value);
  if (depth === shape.length) return decodeNested(value, dtype, [1, ...row], path);
  // A row of a column has shape [1]: its value may be without brackets.
  const bare = depth === 0 && row.every((dim) => dim === 1);
  const { dims, data } = decodeNested(value, dtype, bare ? [] : row, path);
  return { dtype, dims: [1, ...(bare ? row : dims)], data };
}

function fromFlat(given: Record<string, unknown>, spec: TensorSpec, path: string): Tensor {
  const { dtype } = spec;
  if (given.dtype !== undefined && given.dtype !== dtype) {
    throw new TypeError(`${path}: expected the dtype ${dtype}, got ${String(given.dtype)}`);
  }
  const data = dataOf(given.data, dtype, path);
  const dims = given.dims === undefined ? inferDims(data.length, spec, path) : withRow(given.dims, spec, path);
  checkDims(dims, spec, path);
  if (elementCount(dims) === data.length) return { dtype, dims, data };
  throw new TypeError(`${path}: expected ${elementCount(dims)} elements for the dims [${dims}], got ${data.length}`);
}

function dataOf(given: unknown, dtype: DType, path: string): TensorData {
  const isView = ArrayBuffer.isView(given) && !(given instanceof DataView);
  if (!isView && !Array.isArray(given)) throw new TypeError(`${path}.data: expected an array, got ${kindOf(given)}`);
  const list = given as Float64Array | JsonValue[];
  const data = DTYPES[dtype].make(list.length);
  const isSame = isView && list.constructor === data.constructor && dtype !== 'float16';
  if (isSame) (data as Float64Array).set(list as Float64Array);
  else {
    const values = isView ? Array.from(list as Float64Array) : (list as JsonValue[]);
    FILLS[dtype](values, data, 0, (offset) => `${path}.data[${offset}]`);
  }
  return data;
}

function withRow(given: unknown, spec: TensorSpec, path: string): number[] {
  if (!Array.isArray(given) || !given.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    throw new TypeError(`${path}.dims: expected an array of integers from 0 on`);
  }
  return hasRows(spec) && given.length === spec.shape.length - 1 ? [1, ...given] : given;
}

function inferDims(count: number, { shape, anyRank, ...spec }: TensorSpec, path: string): number[] {
  const own = anyRank ? [count] : hasRows({ shape, ...spec }) ? [1, ...shape.slice(1)] : [...shape];
  const open = own.indexOf(-1);
  if (open === -1) return own;
  const known = elementCount(own.filter((dim) => dim !== -1));
  if (own.includes(-1, open + 1) || known === 0) {
    throw new TypeError(`${path}: give dims: the input has several open dimensions, [${shape}]`);
  }
  own[open] = count / known;
  return own;
}

function checkDims(dims: readonly number[], spec: TensorSpec, path: string): void {
  const { shape, anyRank } = spec;
  if (anyRank) return;
  const wanted = hasRows(spec) ? [1, ...shape.slice(1)] : shape;
  const fits = dims.length === wanted.length && dims.every((dim, i) => wanted[i] === -1 || wanted[i] === dim);
  if (!fits || !dims.every(Number.isInteger)) {
    throw new TypeError(`${path}: expected the shape [${wanted}] of one row, got [${dims}]`);
  }
}
