/**
 * How many tokens of each text of a pair are kept, so that both together are at most `limit`: the longer text loses tokens first.
 * For one text the second length is 0.
 *
 * The rule is `longest_first` of Hugging Face's tokenizers 0.23, with its rounding: of 63 and 63 tokens for 125 places, 62 and 63
 * are kept, but of 80 and 70 tokens 63 and 62.
 */
export function fitPair(lengths: readonly [number, number], limit: number): [number, number] {
  const [first, second] = lengths;
  if (first + second <= limit) return [first, second];
  const shorter = Math.min(first, second);
  const half = Math.floor(limit / 2);
  const kept: [number, number] = shorter > half ? [half, limit - half] : [shorter, limit - shorter];
  return first > second ? [kept[1], kept[0]] : kept;
}
