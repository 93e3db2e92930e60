import { syntaxError } from './json-error.ts';

/** An integer literal of more characters than this is read as a double: `BigInt(text)` takes more than linear time. */
const MAX_BIGINT_CHARS = 400;

/** Significant digits that two 32-bit integers of nine digits hold. */
const HALF = 9;
const MAX_DIGITS = 2 * HALF;

/** The powers of ten that a double holds exactly. */
const TEN = new Float64Array(23);
for (let i = 0; i < TEN.length; i++) TEN[i] = Number(`1e${i}`);

/** More than any text's length, far from the overflow of ten times it. */
const HUGE_EXPONENT = 1e8;

const POINT = 0x2e;
const MINUS = 0x2d;
const PLUS = 0x2b;
const ZERO = 0x30;
const LOWER_E = 0x65;

/**
 * Reads the JSON number (RFC 8259, section 6) that starts at `from` and stores it in `into[at]`, correctly rounded: the
 * same double as `Number(text)`. Stores NaN for an integer literal beyond ±(2^53-1): `readInteger` keeps its digits.
 *
 * The value goes to an array, not to the caller, because a double that a function returns costs an allocation.
 *
 * @returns the position after the number
 * @throws ServingError INVALID_INPUT where a digit is missing
 */
export function scanNumber(bytes: Buffer, from: number, end: number, into: Float64Array, at: number): number {
  let p = from;
  let high = 0;
  let low = 0;
  let count = 0;
  let digit = 0;
  const negative = p < end && bytes[p] === MINUS;
  if (negative) p++;

  if (p < end && bytes[p] === ZERO) p++;
  else {
    while (p < end && count < HALF && (digit = bytes[p]! - ZERO) >= 0 && digit <= 9) {
      high = (high * 10 + digit) | 0;
      count++;
      p++;
    }
    if (count === 0) throw syntaxError(bytes, p, end, 'a digit');
    while (count >= HALF && p < end && (digit = bytes[p]! - ZERO) >= 0 && digit <= 9) {
      if (count < MAX_DIGITS) low = (low * 10 + digit) | 0;
      count++;
      p++;
    }
  }

  let exponent = 0;
  let integer = true;
  if (p < end && bytes[p] === POINT) {
    integer = false;
    const fraction = ++p;
    if (count === 0) while (p < end && bytes[p] === ZERO) p++;
    while (p < end && count < HALF && (digit = bytes[p]! - ZERO) >= 0 && digit <= 9) {
      high = (high * 10 + digit) | 0;
      count++;
      p++;
    }
    while (count >= HALF && p < end && (digit = bytes[p]! - ZERO) >= 0 && digit <= 9) {
      if (count < MAX_DIGITS) low = (low * 10 + digit) | 0;
      count++;
      p++;
    }
    if (p === fraction) throw syntaxError(bytes, p, end, 'a digit');
    exponent = fraction - p;
  }

  if (p < end && (bytes[p]! | 0x20) === LOWER_E) {
    integer = false;
    p++;
    const down = p < end && bytes[p] === MINUS;
    if (down || (p < end && bytes[p] === PLUS)) p++;
    const first = p;
    let power = 0;
    while (p < end && (digit = bytes[p]! - ZERO) >= 0 && digit <= 9) {
      if (power < HUGE_EXPONENT) power = power * 10 + digit;
      p++;
    }
    if (p === first) throw syntaxError(bytes, p, end, 'a digit');
    exponent = power >= HUGE_EXPONENT ? HUGE_EXPONENT : exponent + (down ? -power : power);
  }

  const value = scale(high, low, count, exponent);
  if (integer && !(value <= Number.MAX_SAFE_INTEGER)) into[at] = Number.NaN;
  else if (value === value) into[at] = negative ? -value : value;
  else into[at] = Number(bytes.toString('latin1', from, p));
  return p;
}

/**
 * (`high` · 10^n + `low`) · 10^`exponent`, n being the digits beyond the first nine of `count`: correctly rounded, or
 * NaN where that takes more than a few operations.
 *
 * Nine digits times 10^n is exact: `high` has 30 bits and 5^9 has 21. The digits are then exactly `m + rest`. Where
 * `rest` is 0, one operation between two exact doubles is correctly rounded (Clinger 1990). float32 values printed as
 * doubles have 17 digits, so the next case is theirs: the quotient of `m` is corrected by the exact remainder.
 */
function scale(high: number, low: number, count: number, exponent: number): number {
  if (count > MAX_DIGITS) return Number.NaN;
  if (count === 0) return 0;
  const top = count > HALF ? high * TEN[count - HALF]! : high;
  const m = top + low;
  if (exponent === 0) return m;
  const rest = low - (m - top);
  if (rest === 0 && exponent > 0 && exponent <= 22) return m * TEN[exponent]!;
  if (exponent > 0 || exponent < -22) return Number.NaN;
  const divisor = TEN[-exponent]!;
  const quotient = m / divisor;
  return rest === 0 ? quotient : correct(quotient, divisor, m, rest);
}

/**
 * (`m` + `rest`) / `divisor`, correctly rounded, or NaN where that is in doubt. The remainder m - quotient · divisor
 * is exact by Dekker's product (1971). The correction is at most a few units in the quotient's last place and off by
 * less than 2^-48 of itself, so a result that stays the same 2^-96 of the quotient to either side is the right one.
 */
function correct(quotient: number, divisor: number, m: number, rest: number): number {
  const product = quotient * divisor;
  const q1 = upperHalf(quotient);
  const q0 = quotient - q1;
  const d1 = upperHalf(divisor);
  const d0 = divisor - d1;
  const error = q1 * d1 - product + q1 * d0 + q0 * d1 + q0 * d0;
  const correction = (m - product - error + rest) / divisor;
  const doubt = quotient * 2 ** -96;
  const below = quotient + (correction - doubt);
  return below === quotient + (correction + doubt) ? below : Number.NaN;
}

/** The upper 26 bits of a double (Veltkamp's splitting). */
function upperHalf(x: number): number {
  const scaled = x * 134217729;
  return scaled - (scaled - x);
}

/** The integer literal from `from` to `to`, with all its digits; as a double where it is absurdly long. */
export function readInteger(bytes: Buffer, from: number, to: number): number | bigint {
  const text = bytes.toString('latin1', from, to);
  return text.length > MAX_BIGINT_CHARS ? Number(text) : BigInt(text);
}
