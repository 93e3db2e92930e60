import { ServingError } from '../errors.ts';
import { shorten } from '../shorten.ts';
import { bytesOf } from './base64.ts';
import { BEYOND_DOUBLE } from './json/number.ts';
import { isArray, type JsonValue } from './json/reader.ts';
import { type DType, type ElementType, float16View, type NumericData, type TensorData } from './tensor.ts';

/** The path of the element at a row-major offset, as the caller would write it; called for an error only. */
export type Place = (offset: number) => string;

/** An innermost array of a nested value. */
export type Leaf = JsonValue[] | Float64Array;

/** Converts the elements of `leaf`, and stores them from `data[offset]` on. @throws ServingError `INVALID_INPUT` with the path */
export type Fill = (leaf: Leaf, data: TensorData, offset: number, place: Place) => void;

/** The smallest and largest integer of a dtype. */
const RANGES = {
  int8: [-128, 127],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint8: [0, 255],
  uint16: [0, 65535],
  uint32: [0, 4294967295],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

const LARGEST = { float16: '65504', float32: '3.4028235e38', float64: '1.7976931348623157e308' } as const;

/** The conversion of JSON values to each type of elements. It refuses a value that the type cannot represent with INVALID_INPUT. */
export const FILLS: Readonly<Record<ElementType, Fill>> = {
  float16: fillFloat16,
  float32: fillFloat32,
  float64: fillFloat64,
  int8: fillInteger('int8'),
  int16: fillInteger('int16'),
  int32: fillInteger('int32'),
  int64: fillBigInteger('int64'),
  uint8: fillInteger('uint8'),
  uint16: fillInteger('uint16'),
  uint32: fillInteger('uint32'),
  uint64: fillBigInteger('uint64'),
  bool: fillBool,
  string: fillString,
  bytes: fillBytes,
};

function fillFloat32(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = data as Float32Array;
  if (leaf instanceof Float64Array) {
    // One check for the array: `value - value` is NaN if the value is not finite, and so is the sum then.
    let check = 0;
    const length = leaf.length;
    for (let i = 0; i < length; i++) {
      const value = Math.fround(leaf[i]!);
      check += value - value;
      into[offset + i] = value;
    }
    if (check !== 0) refuseOverflow(leaf, offset, place);
    return;
  }
  for (let i = 0; i < leaf.length; i++) {
    const given = leaf[i]!;
    const value = typeof given === 'number' ? Math.fround(given) : Number.NaN;
    into[offset + i] = value - value === 0 ? value : readFloat('float32', given, Math.fround, place, offset + i);
  }
}

/** Refuses the first finite value beyond the range of float32. NaN and the infinities are allowed: the caller wrote them. */
function refuseOverflow(leaf: Float64Array, offset: number, place: Place): void {
  const at = leaf.findIndex((given) => Number.isFinite(given) && !Number.isFinite(Math.fround(given)));
  if (at !== -1) throw refuse('float32', leaf[at]!, place(offset + at));
}

function fillFloat64(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = data as Float64Array;
  for (let i = 0; i < leaf.length; i++) {
    const given = leaf[i]!;
    const fits = typeof given === 'number' && given - given === 0;
    into[offset + i] = fits ? given : readFloat('float64', given, Number, place, offset + i);
  }
}

/** Rounds once, from the double to 11 bits. */
function fillFloat16(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = float16View(data);
  for (let i = 0; i < leaf.length; i++) {
    const given = leaf[i]!;
    const value = typeof given === 'number' ? Math.f16round(given) : Number.NaN;
    into[offset + i] = value - value === 0 ? value : readFloat('float16', given, Math.f16round, place, offset + i);
  }
}

/**
 * Converts a value that is not a finite JSON number. NaN and the infinities are strings, as in protobuf's JSON mapping, or numbers
 * if the reader accepted their bare names. A number that rounds to an infinity is refused.
 */
function readFloat(
  dtype: keyof typeof LARGEST,
  given: JsonValue,
  round: (value: number) => number,
  place: Place,
  at: number,
): number {
  if (typeof given === 'number' && !Number.isFinite(given)) return given;
  if (given === 'NaN') return Number.NaN;
  if (given === 'Infinity') return Number.POSITIVE_INFINITY;
  if (given === '-Infinity') return Number.NEGATIVE_INFINITY;
  const value = typeof given === 'bigint' ? round(Number(given)) : Number.NaN;
  if (value - value !== 0) throw refuse(dtype, given, place(at));
  return value;
}

function fillInteger(dtype: Exclude<keyof typeof RANGES, 'int64' | 'uint64'>): Fill {
  const [lowest, highest] = RANGES[dtype];
  return (leaf, data, offset, place) => {
    const into = data as Exclude<NumericData, BigInt64Array | BigUint64Array>;
    for (let i = 0; i < leaf.length; i++) {
      const given = leaf[i]!;
      if (typeof given !== 'number' || !(given >= lowest && given <= highest) || Math.trunc(given) !== given) {
        throw refuse(dtype, given, place(offset + i));
      }
      into[offset + i] = given;
    }
  };
}

/** A double beyond ±(2^53-1) is refused: it came from text like 1e17, and need not be the intended integer. */
function fillBigInteger(dtype: 'int64' | 'uint64'): Fill {
  const [lowest, highest] = RANGES[dtype];
  return (leaf, data, offset, place) => {
    const into = data as BigInt64Array;
    for (let i = 0; i < leaf.length; i++) {
      const given = leaf[i]!;
      const exact = typeof given === 'number' && Number.isSafeInteger(given) ? BigInt(given) : given;
      if (typeof exact !== 'bigint' || exact < lowest || exact > highest) throw refuse(dtype, given, place(offset + i));
      into[offset + i] = exact;
    }
  };
}

function fillBool(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = data as Uint8Array;
  for (let i = 0; i < leaf.length; i++) {
    const given = leaf[i]!;
    if (typeof given !== 'boolean') throw refuse('bool', given, place(offset + i));
    into[offset + i] = given ? 1 : 0;
  }
}

function fillString(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = data as string[];
  for (let i = 0; i < leaf.length; i++) {
    const given = leaf[i]!;
    if (typeof given !== 'string') throw refuse('string', given, place(offset + i));
    checkText(given, () => place(offset + i));
    into[offset + i] = given;
  }
}

function fillBytes(leaf: Leaf, data: TensorData, offset: number, place: Place): void {
  const into = data as string[];
  for (let i = 0; i < leaf.length; i++) into[offset + i] = bytesOf(leaf[i]!, () => place(offset + i));
}

/**
 * Refuses a string that onnxruntime would not receive completely: it takes UTF-8 that ends at the first NUL.
 * @param place gives the path of the text, for the error
 * @throws ServingError `INVALID_INPUT`
 */
export function checkText(text: string, place: () => string): void {
  if (!text.includes('\0') && text.isWellFormed()) return;
  const what = text.includes('\0') ? 'U+0000, which would end it in the model' : 'half a surrogate pair';
  const path = place();
  throw new ServingError('INVALID_INPUT', `${path}: the text has ${what}`, { path });
}

function refuse(dtype: DType, given: JsonValue, path: string): ServingError {
  const message = `${path}: expected ${describeDType(dtype, given)}, got ${describe(given)}`;
  return new ServingError('INVALID_INPUT', message, { path });
}

/** What an element of the dtype must be, for an error message. */
function describeDType(dtype: DType, given: JsonValue): string {
  if (dtype === 'string') return 'a string';
  if (dtype === 'bool') return 'true or false (bool)';
  if (dtype === 'float16' || dtype === 'float32' || dtype === 'float64') {
    const numeric = typeof given === 'number' || typeof given === 'bigint';
    const missing = given === null ? ', or "NaN" for a missing one' : '';
    return numeric ? `a number within ±${LARGEST[dtype]} (${dtype})` : `a number (${dtype})${missing}`;
  }
  const [lowest, highest] = RANGES[dtype];
  const inexact = typeof given === 'number' && given >= lowest && given <= highest && Number.isInteger(given);
  return `an integer from ${lowest} to ${highest} (${dtype})${inexact ? ' in plain digits' : ''}`;
}

const MAX_GIVEN = 40;

/** A value as text for an error message: shortened, with the length of an array in place of its elements. */
export function describe(given: JsonValue | undefined): string {
  if (isArray(given)) {
    return given.length === 1 ? 'an array of 1 value' : `an array of ${given.length} values`;
  }
  if (typeof given === 'object' && given !== null) return 'an object';
  if (given === BEYOND_DOUBLE || given === -BEYOND_DOUBLE) return 'a number beyond ±1.8e308';
  const text = typeof given === 'string' ? given : Object.is(given, -0) ? '-0' : String(given);
  const short = shorten(text, MAX_GIVEN);
  return typeof given === 'string' ? JSON.stringify(short) : short;
}
