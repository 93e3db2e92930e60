/** No client lists more. */
const MAX_CHARACTERS = 1000;

/** The weights that a client gives (RFC 9110, 12.4.2), by name in lower case. What it gives no weight, or none that is one, weighs 1 or 0. */
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
 * How much a client wants a media type, 0 to 1, by its `Accept` header.
 * @returns 0 for a type that the header refuses (`q=0`) or does not name: wildcards name none.
 */
export function weightOf(header: string | undefined, type: string): number {
  return header === undefined ? 0 : (readWeights(header).get(type) ?? 0);
}

/**
 * The content coding to answer in, by the client's `Accept-Encoding` (RFC 9110, 12.5.3): the one that it weighs most.
 * @param codings what there is, the best first: of two that weigh the same, the earlier is taken.
 * @returns `identity` where the client takes none of them, or weighs that more.
 */
export function chooseCoding<Coding extends string>(
  header: string | undefined,
  codings: readonly Coding[],
): Coding | 'identity' {
  if (header === undefined) return 'identity';
  const weights = readWeights(header);
  const others = weights.get('*') ?? 0;
  let best: Coding | 'identity' = 'identity';
  // Where it is not named, any other that the client takes goes before it.
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
