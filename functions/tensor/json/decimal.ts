/** How many decimal digits always fit into a signed 32-bit integer. */
export const HALF = 9;
/** The significant digits that `composeDecimal` takes: two such integers. */
export const MAX_DIGITS = 2 * HALF;

/** The powers of ten that a double represents exactly. */
const TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/**
 * The double nearest to (`high` · 10^n + `low`) · 10^`exponent`, where n is `count` - 9, or 0 for fewer digits. NaN if that takes
 * more than a few operations.
 *
 * Nine digits times 10^n is exact: `high` has 30 bits and 5^9 has 21. The digits are then exactly `m + rest`. If `rest` is 0, one
 * operation on two exact doubles is correctly rounded (Clinger 1990, "How to read floating point numbers accurately"). Otherwise,
 * as with float32 values printed as doubles in 17 digits, the quotient of `m` is corrected by the exact remainder.
 */
export function composeDecimal(high: number, low: number, count: number, exponent: number): number {
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
 * (`m` + `rest`) / `divisor`, correctly rounded, or NaN if that is not certain. The remainder m - quotient · divisor is exact by
 * Dekker's product (1971). The correction is at most a few units in the quotient's last place, with an error of less than 2^-48 of
 * itself. So a result that is the same with 2^-96 of the quotient added or subtracted is the correct one.
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
