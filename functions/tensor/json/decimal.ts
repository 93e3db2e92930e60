/** Significant digits that a 32-bit integer holds, and two of them. */
export const HALF = 9;
export const MAX_DIGITS = 2 * HALF;

/** The powers of ten that a double holds exactly. */
const TEN = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`));

/**
 * (`high` · 10^n + `low`) · 10^`exponent`, n being the digits beyond the first nine of `count`: correctly rounded, or
 * NaN where that takes more than a few operations.
 *
 * Nine digits times 10^n is exact: `high` has 30 bits and 5^9 has 21. The digits are then exactly `m + rest`. Where
 * `rest` is 0, one operation between two exact doubles is correctly rounded (Clinger 1990). float32 values printed as
 * doubles have 17 digits, so the next case is theirs: the quotient of `m` is corrected by the exact remainder.
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
