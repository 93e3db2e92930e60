import { composeDecimal, HALF, MAX_DIGITS } from './decimal.ts';
import { syntaxError } from './syntax-error.ts';

/** An integer literal of more characters than this is `BEYOND_DOUBLE`: `BigInt(text)` takes more than linear time. */
const MAX_BIGINT_CHARS = 400;

/**
 * The value of a number beyond ±1.8e308, with its sign. It is not an infinity, because the caller did not write `Infinity`.
 */
export const BEYOND_DOUBLE = 10n ** 500n;

/** How many digits of a fraction are read at once. */
const CHUNK = 4;
const TEN_TO_CHUNK = 10_000;

/** More than the length of any text; ten times it does not overflow. */
const HUGE_EXPONENT = 1e8;

/** From this many bytes on, a view that reads four digits at once is worth its 100 ns. */
const VIEW_BYTES = 1024;

/** From this length on, an array of nothing but plain numbers is a Float64Array. */
export const TYPED_ARRAY_LENGTH = 32;

const FIRST_SCRATCH = 1024;
/** The numbers of the array that is being read. They are copied from here before a nested array is read. */
let scratch: Float64Array = new Float64Array(FIRST_SCRATCH);
const MAX_IDLE_SCRATCH = 65_536;
/** From this many numbers on, the array takes the memory into which they were read, instead of a copy. */
const UNCOPIED_LENGTH = 2 ** 20;

const NO_VIEW = new DataView(new ArrayBuffer(0));
let view: DataView = NO_VIEW;
/** The last position from which `view` may read a chunk. */
let lastChunk = -1;

/** The position at which the last call of `scanNumbers`, `scanFloats` or `readBeyond` stopped. */
export let stop = 0;
/** The end of the number at which it stopped. */
let literalEnd = 0;
/** Whether `NaN`, `Infinity` and `-Infinity` are accepted as numbers. */
let bare = false;

const COMMA = 0x2c;
const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const LOWER_E = 0x65;
const CLOSE = 0x5d;
const UPPER_I = 0x49;
const UPPER_N = 0x4e;

/**
 * Prepares for the numbers of the text between `start` and `end`. `closeNumbers` must be called after it.
 * @param bareFloats whether `NaN`, `Infinity` and `-Infinity` are accepted as numbers
 */
export function openNumbers(bytes: Buffer, start: number, end: number, bareFloats: boolean): void {
  bare = bareFloats;
  if (end - start < VIEW_BYTES) return;
  view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  lastChunk = end - CHUNK;
}

/** Frees the memory of the last text. */
export function closeNumbers(): void {
  view = NO_VIEW;
  lastChunk = -1;
  if (scratch.length > MAX_IDLE_SCRATCH) scratch = new Float64Array(FIRST_SCRATCH);
}

/**
 * Reads JSON numbers (RFC 8259, section 6) with commas between them, the first at `from`, each correctly rounded: the same double
 * as `Number(text)`. Stops at the array's closing bracket, or at an element that is not a plain number; an integer beyond
 * ±(2^53-1) and any number beyond ±1.8e308 are not plain. `stop` has that position. `takeNumbers` returns the numbers.
 *
 * One long loop: a call for each number doubles the time of short ones, a call for each comma adds a tenth to a third, and a
 * function that returns a double allocates it. Digits are read without checking `end`: `bytes` must have, at `end - 1` or `end`, a
 * byte that no number contains.
 *
 * @param one whether to stop after one number
 * @param previous how many numbers were read before, which stay in front of these
 * @returns how many numbers there are, with those
 * @throws ServingError INVALID_INPUT if the text is not JSON
 */
export function scanNumbers(bytes: Buffer, from: number, end: number, one: boolean, previous = 0): number {
  const chunks = view;
  const last = lastChunk;
  let into: Float64Array = scratch;
  let found = previous;
  let p = from;
  let byte = p < end ? bytes[p]! : 0;
  while (byte === MINUS || (byte >= ZERO && byte <= 0x39)) {
    const first = p;
    const negative = ((byte ^ MINUS) - 1) >>> 31; // without a branch: signs are hard to predict
    p += negative;
    let high = bytes[p]! - ZERO;
    if (high < 0 || high > 9) {
      if (!bare || bytes[p] !== UPPER_I) throw syntaxError(bytes, p, end, 'a digit');
      p = first;
      break;
    }
    let count = -high >>> 31;
    let low = 0;
    let exponent = 0;
    let integer = true;
    let digit = bytes[++p]! - ZERO;
    if (count !== 0)
      while (digit >= 0 && digit <= 9) {
        if (count < HALF) high = (high * 10 + digit) | 0;
        else if (count < MAX_DIGITS) low = (low * 10 + digit) | 0;
        count++;
        digit = bytes[++p]! - ZERO;
      }
    if (digit === POINT - ZERO) {
      integer = false;
      const fraction = ++p;
      if (count === 0) while (bytes[p] === ZERO) p++;
      while (count <= HALF - CHUNK && p <= last) {
        const four = chunks.getInt32(p, true);
        if (!areDigits(four)) break;
        high = (Math.imul(high, TEN_TO_CHUNK) + numberOf(four)) | 0;
        count += CHUNK;
        p += CHUNK;
      }
      digit = bytes[p]! - ZERO;
      while (digit >= 0 && digit <= 9 && count < HALF) {
        high = (high * 10 + digit) | 0;
        count++;
        digit = bytes[++p]! - ZERO;
      }
      if (count >= HALF) {
        while (count <= MAX_DIGITS - CHUNK && p <= last) {
          const four = chunks.getInt32(p, true);
          if (!areDigits(four)) break;
          low = (Math.imul(low, TEN_TO_CHUNK) + numberOf(four)) | 0;
          count += CHUNK;
          p += CHUNK;
        }
        digit = bytes[p]! - ZERO;
        while (digit >= 0 && digit <= 9) {
          if (count < MAX_DIGITS) low = (low * 10 + digit) | 0;
          count++;
          digit = bytes[++p]! - ZERO;
        }
      }
      if (p === fraction) throw syntaxError(bytes, p, end, 'a digit');
      exponent = fraction - p;
    }
    byte = digit + ZERO;
    if (byte !== COMMA && (byte | 0x20) === LOWER_E) {
      integer = false;
      exponent = readExponent(bytes, p + 1, end, exponent);
      p = stop;
      byte = bytes[p]!;
    }
    let value = high;
    if (!integer || count > HALF) {
      value = composeDecimal(high, low, count, exponent);
      if (!integer && Number.isNaN(value)) value = Math.abs(Number(bytes.toString('latin1', first, p)));
      if (integer ? !(value <= Number.MAX_SAFE_INTEGER) : value === Number.POSITIVE_INFINITY) {
        literalEnd = p;
        p = first;
        break;
      }
    }
    if (found === into.length) into = growScratch();
    into[found++] = value * (1 - 2 * negative);
    if (one) break;
    if (byte <= 0x20) {
      p = skipSpace(bytes, p, end);
      byte = p < end ? bytes[p]! : 0;
    }
    if (byte === CLOSE) break;
    if (byte !== COMMA) throw syntaxError(bytes, p, end, "',' or ']'");
    byte = ++p < end ? bytes[p]! : 0;
    if (byte <= 0x20) {
      p = skipSpace(bytes, p, end);
      byte = p < end ? bytes[p]! : 0;
    }
    if (byte === CLOSE) throw syntaxError(bytes, p, end, 'a value');
  }
  stop = p;
  return found;
}

/**
 * Reads the exponent of a number from the byte after its `e` on. `stop` has its end.
 * @param exponent minus the number of digits after the point.
 * @returns the sum of both.
 */
function readExponent(bytes: Buffer, from: number, end: number, exponent: number): number {
  let p = from;
  let byte = bytes[p]!;
  const isNegative = byte === MINUS;
  if (isNegative || byte === PLUS) byte = bytes[++p]!;
  const first = p;
  let e = 0;
  while (byte >= ZERO && byte <= 0x39) {
    if (e < HUGE_EXPONENT) e = e * 10 + (byte - ZERO);
    byte = bytes[++p]!;
  }
  if (p === first) throw syntaxError(bytes, p, end, 'a digit');
  stop = p;
  return e < HUGE_EXPONENT ? exponent + (isNegative ? -e : e) : HUGE_EXPONENT;
}

/** Whether the four bytes of a little-endian word are ASCII digits. */
function areDigits(four: number): boolean {
  return ((four & 0xf0f0f0f0) | (((four + 0x06060606) & 0xf0f0f0f0) >>> 4)) === 0x33333333;
}

/** The number of four ASCII digits, the first of which is in the lowest byte. */
function numberOf(four: number): number {
  const digits = four & 0x0f0f0f0f;
  const pairs = Math.imul(digits, 10) + (digits >>> 8);
  return (pairs & 0xff) * 100 + ((pairs >>> 16) & 0xff);
}

/** The number at which `scanNumbers` stopped: an integer with all its digits, or ±`BEYOND_DOUBLE`. `stop` has its end. */
export function readBeyond(bytes: Buffer): bigint {
  const text = bytes.toString('latin1', stop, literalEnd);
  stop = literalEnd;
  if (text.length <= MAX_BIGINT_CHARS && /^-?\d+$/.test(text)) return BigInt(text);
  return text.startsWith('-') ? -BEYOND_DOUBLE : BEYOND_DOUBLE;
}

/**
 * Reads the numbers of an array as `scanNumbers` does, and `NaN`, `Infinity` and `-Infinity` if they are accepted.
 * @returns how many numbers there are
 * @throws ServingError INVALID_INPUT if the text, apart from those, is not JSON
 */
export function scanFloats(bytes: Buffer, from: number, end: number): number {
  let found = scanNumbers(bytes, from, end, false);
  while (bare) {
    const token = bareFloatAt(bytes, stop, end);
    if (token === undefined) break;
    if (found === scratch.length) growScratch();
    scratch[found++] = Number(token);
    let p = skipSpace(bytes, stop + token.length, end);
    const byte = p < end ? bytes[p]! : 0;
    if (byte !== COMMA && byte !== CLOSE) throw syntaxError(bytes, p, end, "',' or ']'");
    stop = p;
    if (byte === CLOSE) break;
    p = skipSpace(bytes, p + 1, end);
    if (p < end && bytes[p] === CLOSE) throw syntaxError(bytes, p, end, 'a value');
    found = scanNumbers(bytes, p, end, false, found);
  }
  return found;
}

const BARE_FLOATS = ['NaN', 'Infinity', '-Infinity'];

/** The token at `at` if it is `NaN`, `Infinity` or `-Infinity` and these are accepted; else undefined. */
export function bareFloatAt(bytes: Buffer, at: number, end: number): string | undefined {
  const byte = bytes[at];
  if (!bare || (byte !== UPPER_N && byte !== UPPER_I && byte !== MINUS)) return undefined;
  return BARE_FLOATS.find((token) => bytes.toString('latin1', at, Math.min(end, at + token.length)) === token);
}

/** Whether a number may contain the byte. */
export function isNumberByte(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= 0x39) || byte === PLUS || byte === MINUS || byte === POINT || (byte | 0x20) === LOWER_E
  );
}

/** The first number that `scanNumbers` read. */
export function takeNumber(): number {
  return scratch[0]!;
}

/** The `count` numbers that `scanNumbers` read. */
export function takeNumbers(count: number): number[] | Float64Array {
  if (count < TYPED_ARRAY_LENGTH) return copyNumbers(count);
  if (count < UNCOPIED_LENGTH) return scratch.slice(0, count);
  // Numbers take up to four times the bytes of their text, and a copy would double that.
  const taken = scratch.subarray(0, count);
  scratch = new Float64Array(FIRST_SCRATCH);
  return taken;
}

/** As `takeNumbers`, always as an Array: for an array whose next element is not a plain number. */
export function copyNumbers(count: number): number[] {
  const numbers = new Array<number>(count);
  for (let i = 0; i < count; i++) numbers[i] = scratch[i]!;
  return numbers;
}

function growScratch(): Float64Array {
  const larger = new Float64Array(scratch.length * 4);
  larger.set(scratch);
  scratch = larger;
  return larger;
}

/** The position of the first byte from `from` on that is not white space (RFC 8259, section 2); `end` if there is none. */
export function skipSpace(bytes: Buffer, from: number, end: number): number {
  let p = from;
  for (; p < end; p++) {
    const byte = bytes[p]!;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) break;
  }
  return p;
}
