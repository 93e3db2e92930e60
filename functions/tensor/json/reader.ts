import { ServingError } from '../../errors.ts';
import { shorten } from '../../shorten.ts';
import {
  bareFloatAt,
  closeNumbers,
  copyNumbers,
  isNumberByte,
  openNumbers,
  readBeyond,
  scanFloats,
  scanNumbers,
  skipSpace,
  stop,
  TYPED_ARRAY_LENGTH,
  takeNumber,
  takeNumbers,
} from './number.ts';
import { readString, scanString } from './string.ts';
import { countBytesFrom, syntaxError } from './syntax-error.ts';

/**
 * The value of a JSON text. Numbers are doubles; integers beyond ±(2^53-1) are bigints with all their digits, and a number too
 * large for a double is the bigint ±`BEYOND_DOUBLE`.
 */
export type JsonValue = null | boolean | number | bigint | string | Float64Array | JsonValue[] | JsonObject;

/** An object of a JSON text. It has no prototype, so that `__proto__` is a key like any other. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Whether a value of a JSON text is an array, including a Float64Array of plain numbers. */
export function isArray(value: JsonValue | undefined): value is JsonValue[] | Float64Array {
  return Array.isArray(value) || value instanceof Float64Array;
}

/** Whether a value of a JSON text is an object: neither null nor an array. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value);
}

/** The most levels of nested arrays and objects: the parser, and functions that read its result, recurse no deeper. */
export const MAX_DEPTH = 64;

/**
 * The default for the most values of one text. The result of another thread is copied on the serving thread, and a text that is
 * read on the serving thread blocks it: either takes about 50 ms for this many.
 */
export const MAX_VALUES = 100_000;

/** The most members of one object: more than any model has inputs or features. */
const MAX_MEMBERS = 65_536;

/** The position after the value just read. */
let next = 0;
/** The most values that the rest of the text may have, and those that the text may have. */
let remaining = 0;
let allowed = 0;

/**
 * Reads one JSON text (RFC 8259, strictly) from the UTF-8 `bytes` between `start` and `end`.
 *
 * It accepts and refuses the texts that `JSON.parse` does, except that:
 * - more than 64 levels of nesting, invalid UTF-8 in a string, equal keys in an object, and more than 65,536 members are refused;
 * - a byte order mark before the text is skipped (RFC 8259, section 8.1);
 * - integers beyond ±(2^53-1) are bigints with all their digits, and a number too large for a double is ±`BEYOND_DOUBLE`;
 * - an array of `TYPED_ARRAY_LENGTH` (32) or more plain numbers is a Float64Array.
 *
 * @param maxValues the most values that the text may have. An array of plain numbers counts as one; one that is too short for a
 * Float64Array, as one more for each 4 numbers.
 * @param bareFloats whether `NaN`, `Infinity` and `-Infinity` are accepted as numbers, as Python's json writes them
 * @throws ServingError INVALID_INPUT with the byte, counted from `start`, at which the text is not JSON; or if it has more values
 */
export function readJson(
  bytes: Uint8Array,
  start = 0,
  end = bytes.length,
  maxValues = MAX_VALUES,
  bareFloats = false,
): JsonValue {
  remaining = maxValues;
  allowed = maxValues;
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (end > start && isNumberByte(buffer[end - 1]!)) {
    // A bare number, or a truncated text, is rare: it is copied, to have the byte after its end that `scanNumbers` needs.
    return readText(Buffer.concat([buffer.subarray(start, end), Buffer.from(' ')]), 0, end - start, bareFloats);
  }
  return readText(buffer, start, end, bareFloats);
}

function readText(bytes: Buffer, start: number, end: number, bareFloats: boolean): JsonValue {
  countBytesFrom(start);
  openNumbers(bytes, start, end, bareFloats);
  try {
    const value = readValue(bytes, skipSpace(bytes, start + markLength(bytes, start, end), end), end, 0);
    const p = skipSpace(bytes, next, end);
    if (p < end) throw syntaxError(bytes, p, end, 'the end of the body');
    return value;
  } finally {
    closeNumbers();
  }
}

/** The length of the byte order mark at `start`; 0 if there is none. */
function markLength(bytes: Buffer, start: number, end: number): number {
  const isMark = start + 2 < end && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf;
  return isMark ? 3 : 0;
}

function readValue(bytes: Buffer, p: number, end: number, depth: number): JsonValue {
  if (--remaining < 0) throw tooMany();
  const byte = p < end ? bytes[p]! : 0;
  switch (byte) {
    case 0x5b:
      return readArray(bytes, p, end, depth + 1);
    case 0x7b:
      return readObject(bytes, p, end, depth + 1);
    case 0x22: {
      const close = scanString(bytes, p + 1, end);
      next = (close < 0 ? ~close : close) + 1;
      return readString(bytes, p + 1, close);
    }
    case 0x74:
      return readWord(bytes, p, end, 'true', true);
    case 0x66:
      return readWord(bytes, p, end, 'false', false);
    case 0x6e:
      return readWord(bytes, p, end, 'null', null);
    default: {
      const token = bareFloatAt(bytes, p, end);
      if (token !== undefined) {
        next = p + token.length;
        return Number(token);
      }
      if (!startsNumber(byte)) throw syntaxError(bytes, p, end, 'a value');
      const value = scanNumbers(bytes, p, end, true) === 1 ? takeNumber() : readBeyond(bytes);
      next = stop;
      return value;
    }
  }
}

function readObject(bytes: Buffer, open: number, end: number, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw tooDeep();
  const object: JsonObject = Object.create(null);
  let members = 0;
  let p = skipSpace(bytes, open + 1, end);
  if (p < end && bytes[p] === 0x7d) {
    next = p + 1;
    return object;
  }
  for (;;) {
    if (p >= end || bytes[p] !== 0x22) throw syntaxError(bytes, p, end, 'a key in double quotes');
    const close = scanString(bytes, p + 1, end);
    if (++members > MAX_MEMBERS) throw tooManyMembers();
    const key = readString(bytes, p + 1, close);
    // Programs before this one may have read the other value (RFC 8259, 4).
    if (key in object) throw syntaxError(bytes, p, end, 'another key', `${JSON.stringify(shorten(key))} again`);
    p = skipSpace(bytes, (close < 0 ? ~close : close) + 1, end);
    if (p >= end || bytes[p] !== 0x3a) throw syntaxError(bytes, p, end, "':'");
    object[key] = readValue(bytes, skipSpace(bytes, p + 1, end), end, depth);
    p = skipSpace(bytes, next, end);
    const byte = p < end ? bytes[p] : 0;
    if (byte === 0x7d) break;
    if (byte !== 0x2c) throw syntaxError(bytes, p, end, "',' or '}'");
    p = skipSpace(bytes, p + 1, end);
  }
  next = p + 1;
  return object;
}

function readArray(bytes: Buffer, open: number, end: number, depth: number): JsonValue[] | Float64Array {
  if (depth > MAX_DEPTH) throw tooDeep();
  let p = skipSpace(bytes, open + 1, end);
  if (p < end && bytes[p] === 0x5d) {
    next = p + 1;
    return [];
  }
  const count = scanFloats(bytes, p, end);
  p = stop;
  if (count === 0 || p >= end || bytes[p] !== 0x5d) return readMixed(bytes, p, end, depth, count);
  next = p + 1;
  if (count < TYPED_ARRAY_LENGTH) remaining -= count >> 2;
  return takeNumbers(count);
}

/** Reads the rest of an array, from its element `count` on, which is not a plain number. */
function readMixed(bytes: Buffer, first: number, end: number, depth: number, count: number): JsonValue[] {
  remaining -= count;
  if (remaining < 0) throw tooMany();
  const list: JsonValue[] = copyNumbers(count);
  for (let p = first; ; ) {
    list.push(readValue(bytes, p, end, depth));
    p = skipSpace(bytes, next, end);
    const byte = p < end ? bytes[p] : 0;
    if (byte === 0x5d) {
      next = p + 1;
      return list;
    }
    if (byte !== 0x2c) throw syntaxError(bytes, p, end, "',' or ']'");
    p = skipSpace(bytes, p + 1, end);
  }
}

function readWord<T extends boolean | null>(bytes: Buffer, from: number, end: number, word: string, value: T): T {
  for (let i = 1; i < word.length; i++) {
    if (from + i >= end || bytes[from + i] !== word.charCodeAt(i)) {
      throw syntaxError(bytes, from + i, end, `'${word}'`);
    }
  }
  next = from + word.length;
  return value;
}

/** A minus sign or a digit. */
function startsNumber(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d;
}

function tooDeep(): ServingError {
  return new ServingError('INVALID_INPUT', `the body nests arrays and objects deeper than ${MAX_DEPTH} levels`);
}

function tooManyMembers(): ServingError {
  return new ServingError('INVALID_INPUT', `the body has an object of more than ${MAX_MEMBERS} members`);
}

function tooMany(): ServingError {
  const message = `the body has more than ${allowed} arrays, objects and values outside arrays of plain numbers; send rows as NDJSON to /batch_predict, one a line, or a large row by itself to /predict`;
  return new ServingError('INVALID_INPUT', message);
}
