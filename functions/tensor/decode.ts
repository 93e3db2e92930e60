import { ServingError } from '../errors.ts';
import { describe, FILLS, type Fill, type Leaf, type Place } from './fill.ts';
import { isArray, type JsonValue, MAX_DEPTH } from './json/reader.ts';
import {
  DTYPES,
  type DType,
  type ElementType,
  elementCount,
  elementTypeOf,
  type Tensor,
  type TensorData,
  type TensorSpec,
} from './tensor.ts';

/**
 * Converts JSON arrays with the nesting of `shape`, row-major, to a tensor; a bare scalar for rank 0. A `-1` in `shape` accepts
 * any length, which must be the same in all arrays of that level. The tensor's dims are the lengths found; 0 below an empty array.
 *
 * Only `bool` takes booleans. Only `string` takes strings, and `bytes` takes base64 (see `bytesOf`); but floats take "NaN",
 * "Infinity" and "-Infinity". Integers may be written as 1.0 or 1e3. A number out of the range of its dtype, and a fraction for an
 * integer, is refused.
 *
 * @param path the place of `value` in the caller's input, for errors: `features`
 * @throws ServingError INVALID_INPUT with the path of the first bad element: `features[0][3]`
 */
export function decodeNested(value: JsonValue, type: ElementType, shape: readonly number[], path: string): Tensor {
  const dtype = dtypeOf(type);
  if (shape.length === 1 && isArray(value) && (shape[0] === -1 || shape[0] === value.length)) {
    const data = DTYPES[dtype].make(value.length);
    FILLS[type](value, data, 0, (offset) => `${path}[${offset}]`);
    return { dtype, dims: [value.length], data };
  }
  const dims = measure(value, shape);
  const place: Place = (offset) => path + indexText(offset, dims);
  if (dims.length > 0) checkNesting(value, { shape, dims, trail: [], path }, 0);
  const data = DTYPES[dtype].make(elementCount(dims));
  if (dims.length > 0) fillNested(value as Leaf, FILLS[type], dims.length, data, 0, place);
  else FILLS[type]([value], data, 0, place);
  return { dtype, dims, data };
}

/**
 * Converts the JSON of a complete input: arrays with the nesting of its shape, or of any depth if the model leaves the rank open. A
 * scalar may have brackets: clients that do not support rank 0 send shape `[1]` for it.
 *
 * @param path the place of `value` in the caller's input, for errors
 * @throws ServingError INVALID_INPUT as `decodeNested` does
 */
export function decodeInput(value: JsonValue, spec: TensorSpec, path: string): Tensor {
  const { shape, anyRank } = spec;
  const type = elementTypeOf(spec);
  if (anyRank) return decodeNested(value, type, new Array<number>(depthOf(value)).fill(-1), path);
  const boxed = shape.length === 0 && isArray(value) && value.length === 1 && !isArray(value[0]);
  return boxed ? decodeNested(value[0]!, type, shape, `${path}[0]`) : decodeNested(value, type, shape, path);
}

/** How many arrays deep a value is nested, by the first element of each array; 0 for a value that is not an array. */
export function depthOf(value: JsonValue): number {
  let depth = 0;
  let inner: JsonValue | undefined = value;
  while (isArray(inner)) {
    depth++;
    inner = inner[0];
  }
  return depth;
}

/**
 * Converts data that comes with its dims (Open Inference Protocol v2, "Tensor Data"): one flat array in row-major order, or arrays
 * with the nesting of `dims`. Elements are converted as by `decodeNested`.
 *
 * @param path the place of `value` in the caller's input, for errors: `inputs[0].data`
 * @throws ServingError INVALID_INPUT for invalid dims, a wrong number of elements, or a bad element
 */
export function decodeFlat(value: JsonValue, type: ElementType, dims: readonly number[], path: string): Tensor {
  if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    throw invalid(path, `expected a shape of integers from 0 on, got [${dims.slice(0, 16).map(describe).join(',')}]`);
  }
  if (dims.length > MAX_DEPTH) throw invalid(path, `expected at most ${MAX_DEPTH} dimensions, got ${dims.length}`);
  if (!isArray(value)) {
    if (dims.length === 0) return decodeNested(value, type, dims, path);
    throw invalid(path, `expected an array of values, got ${describe(value)}`);
  }
  if (dims.length > 1 && isArray(value[0])) return decodeNested(value, type, dims, path);
  // A product beyond 2^53 may be rounded, but no array has so many elements.
  const count = dims.includes(0) ? 0 : elementCount(dims);
  if (value.length !== count) {
    throw invalid(path, `expected ${countText(count, 1)} for shape [${dims.join(',')}], got ${value.length}`);
  }
  const dtype = dtypeOf(type);
  const data = DTYPES[dtype].make(count);
  FILLS[type](value, data, 0, (offset) => `${path}[${offset}]`);
  return { dtype, dims: [...dims], data };
}

const dtypeOf = (type: ElementType): DType => (type === 'bytes' ? 'string' : type);

/** The dims of a nested value, from the first array of each level. */
function measure(value: JsonValue, shape: readonly number[]): number[] {
  let inner: JsonValue | undefined = value;
  return shape.map((expected) => {
    const length: number = isArray(inner) ? inner.length : expected === -1 || inner === undefined ? 0 : expected;
    inner = isArray(inner) ? inner[0] : undefined;
    return expected === -1 ? length : expected;
  });
}

interface Nesting {
  readonly shape: readonly number[];
  readonly dims: readonly number[];
  /** The indices of the array being checked. */
  readonly trail: number[];
  readonly path: string;
}

/**
 * Refuses a value without the nesting of `dims`, before anything is allocated: `[[1,…],1,1,…]` must not allocate the product of
 * its two lengths. Elements are not checked.
 */
function checkNesting(value: JsonValue | undefined, nesting: Nesting, level: number): void {
  const length = nesting.dims[level]!;
  if (!isArray(value) || value.length !== length) throw misfit(value, nesting, level);
  if (level + 1 === nesting.dims.length) return;
  for (let i = 0; i < length; i++) {
    nesting.trail[level] = i;
    checkNesting(value[i], nesting, level + 1);
  }
}

function misfit(value: JsonValue | undefined, nesting: Nesting, level: number): ServingError {
  const { shape, dims, trail, path } = nesting;
  const place = path + trailText(trail.slice(0, level));
  const expected = countText(dims[level]!, dims.length - level);
  if (!isArray(value)) {
    const open = shape[level] === -1 && !trail.slice(0, level).some((index) => index > 0);
    return invalid(place, `expected an array${open ? '' : ` of ${expected}`}, got the value ${describe(value)}`);
  }
  const model = level > 0 && shape[level] === -1 ? ` as in ${path}${'[0]'.repeat(level)}` : '';
  return invalid(place, `expected ${expected}${model}, got ${value.length}`);
}

function fillNested(value: Leaf, fill: Fill, levels: number, data: TensorData, offset: number, place: Place): number {
  if (levels === 1) {
    fill(value, data, offset, place);
    return offset + value.length;
  }
  let at = offset;
  for (let i = 0; i < value.length; i++) at = fillNested(value[i] as Leaf, fill, levels - 1, data, at, place);
  return at;
}

function countText(count: number, levels: number): string {
  const noun = levels > 1 ? 'array' : 'value';
  return count === 1 ? `1 ${noun}` : `${count} ${noun}s`;
}

/** `[1][3]`, the indices of the element at a flat offset. */
function indexText(offset: number, dims: readonly number[]): string {
  const trail: number[] = [];
  let rest = offset;
  for (const dim of dims.toReversed()) {
    trail.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return trailText(trail);
}

function trailText(trail: readonly number[]): string {
  return trail.map((index) => `[${index}]`).join('');
}

function invalid(path: string, message: string): ServingError {
  return new ServingError('INVALID_INPUT', `${path}: ${message}`, { path });
}
