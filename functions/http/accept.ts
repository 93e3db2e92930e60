/** Characters of a header that are read; the rest is ignored, so that a long header takes no time. */
const MAX_CHARACTERS = 1000;

/** The weights in a header (RFC 9110, 12.4.2), by name in lower case: 1 without a weight, 0 with an invalid one. */
function readWeights(header: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const part of header.slice(0, MAX_CHARACTERS).split(',')) {
    const [name = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase());
    const weight = parameters.find((each) => each.startsWith('q='));
    const q = weight === undefined ? 1 : Number(weight.slice(2));
    weights.set(name, q >= 0 && q <= 1 ? q : 0);
  }
  return weights;
}

/**
 * The weight of a media type, 0 to 1, in an `Accept` header.
 * @returns 0 for a type that the header refuses (`q=0`) or does not name; wildcards are ignored.
 */
export function weightOf(header: string | undefined, type: string): number {
  return header === undefined ? 0 : (readWeights(header).get(type) ?? 0);
}

/**
 * Chooses the content coding of a response: the one with the highest weight in `Accept-Encoding` (RFC 9110, 12.5.3).
 * @param codings the codings that the server has, in order of preference: of two with the same weight, the first is chosen.
 * @returns `identity` when the client accepts none of them, or gives `identity` a higher weight.
 */
export function chooseCoding<Coding extends string>(
  header: string | undefined,
  codings: readonly Coding[],
): Coding | 'identity' {
  if (header === undefined) return 'identity';
  const weights = readWeights(header);
  const others = weights.get('*') ?? 0;
  let best: Coding | 'identity' = 'identity';
  // Any accepted coding is preferred to `identity`, unless the header gives it a weight.
  let most = weights.get('identity') ?? 0;
  for (const coding of codings) {
    const weight = weights.get(coding) ?? others;
    if (weight > most || (weight === most && weight > 0 && best === 'identity')) {
      best = coding;
      most = weight;
    }
  }
  return best;
}
