/** Up to here, lengths are multiples of 8. */
const FINE = 48;

/**
 * The length to which the tokens of a row are padded while it waits, so that rows of similar length have one shape and share runs:
 * 8, 16, …, 48, then 64, 80, 96, 128, 160, 192, 256 and so on. At most a quarter of it is padding beyond 48 tokens.
 * @param tokens at least 1
 */
export function paddedLength(tokens: number): number {
  if (tokens <= FINE) return Math.ceil(tokens / 8) * 8;
  let base = 32;
  while (base * 2 < tokens) base *= 2;
  return [1.25, 1.5, 2].map((factor) => base * factor).find((length) => length >= tokens)!;
}
