/** The result of `shortestFloat32`: `mantissa` · 10^`exponent`. Variables, because returning both would allocate. */
export let mantissa = 0;
/** The power of ten of the result of `shortestFloat32`. */
export let exponent = 0;

/** The digits that distinguish any two float32, and any two float16. */
const MAX_DIGITS = 9;
const MAX_FLOAT16_DIGITS = 5;

/** 10^(i - TEN_ZERO), each within half a unit in its last place. */
const TEN_ZERO = 64;
const TEN = Float64Array.from({ length: 128 }, (_, i) => Number(`1e${i - TEN_ZERO}`));

/** By the biased binary exponent of a float32: the power of ten that scales it to nine digits, or to ten that start with 1. */
const SCALE = Int32Array.from({ length: 256 }, (_, i) => MAX_DIGITS - 1 - Math.floor((i - 127) * Math.log10(2)));

/** More than the relative rounding error of a product with a power of ten of the table. */
const DOUBT = 2 ** -50;

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/**
 * Finds the shortest decimal of `value`, a positive finite float32, and stores it in `mantissa` and `exponent`: the fewest digits
 * that, read as a double and rounded, give the same float32. `String` would print the double: 0.10000000149011612.
 *
 * If the nearest decimal of d digits reads back as the value, so does that of d + 1. So the search starts with nine digits and
 * removes them one by one: random floats need one or two steps, 0.5 eight. (2^-96, 2^87 and 2^90 have a shorter decimal that is
 * not the nearest of its length: they are printed with one digit more.)
 */
export function shortestFloat32(value: number): void {
  float[0] = value;
  const scale = SCALE[bits[0]! >>> 23]!;
  const scaled = value * TEN[TEN_ZERO + scale]!;
  let best = Math.floor(scaled + 0.5);
  let dropped = 0;
  for (let step = 10, drop = 1; drop < 10; step *= 10, drop++) {
    const shorter = Math.floor(scaled / step + 0.5);
    if (!readsBack(shorter, drop - scale, value)) break;
    best = shorter;
    dropped = drop;
  }
  mantissa = best | 0;
  exponent = dropped - scale;
}

/** Whether `digits` · 10^`power`, read as a double, rounds to `value`. The product decides, unless it is near a boundary. */
function readsBack(digits: number, power: number, value: number): boolean {
  const product = digits * TEN[TEN_ZERO + power]!;
  const below = Math.fround(product - product * DOUBT);
  if (below === Math.fround(product + product * DOUBT)) return below === value;
  return Math.fround(Number(`${digits}e${power}`)) === value;
}

const float16Texts: (string | undefined)[] = new Array(65536);

/** The shortest decimal text of a finite float16, in the format of `String`. It is cached. @param raw the bits of `value` */
export function textOfFloat16(value: number, raw: number): string {
  const known = float16Texts[raw];
  if (known !== undefined) return known;
  let text = Object.is(value, -0) ? '-0' : '0';
  for (let digits = 1; value !== 0 && digits <= MAX_FLOAT16_DIGITS; digits++) {
    const decimal = Number(value.toPrecision(digits));
    text = String(decimal);
    if (Math.f16round(decimal) === value) break;
  }
  float16Texts[raw] = text;
  return text;
}
