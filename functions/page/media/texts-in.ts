import { plainOf } from '../result/words.ts';

/** The text in the `features` of a body or a link, and those that it is compared with. Undefined if there is none. */
export function textsIn(features: unknown): [text: string | undefined, others: string[]] {
  const isObject = typeof features === 'object' && features !== null && !Array.isArray(features);
  const [first, second] = isObject ? Object.values(features) : [features, undefined];
  if (!isObject && Array.isArray(first)) {
    const [text, ...others] = first.filter((one) => typeof one === 'string');
    return [text, others];
  }
  const text = plainOf(first);
  const others = [second ?? []].flat(2).filter((one) => typeof one === 'string');
  return [typeof text === 'string' ? text : undefined, others];
}
