import type { RequestContext } from '../../http/request-context.ts';
import type { TextTotals } from '../texts/run-texts.ts';

/**
 * The fields of a response that say what it took (router/src/lib.rs, `ResponseMetadata`). The times of queue, tokenizer and inference
 * are of rows, which share runs: they are in the metrics. `x-truncated-inputs` is of this server.
 * @param texts of the request; as many characters as Unicode code points
 */
export function computeFields(
  { startedAt }: Pick<RequestContext, 'startedAt'>,
  computeType: string,
  texts: readonly (readonly string[])[],
  { tokens, truncated }: TextTotals,
): string[] {
  const ms = String(Math.round(performance.now() - startedAt));
  return [
    'x-compute-type',
    computeType,
    'x-compute-time',
    ms,
    'x-compute-characters',
    String(countCharacters(texts)),
    'x-compute-tokens',
    String(tokens),
    'x-total-time',
    ms,
    ...(truncated > 0 ? ['x-truncated-inputs', String(truncated)] : []),
  ];
}

const SURROGATE = /[\udc00-\udfff]/;

function countCharacters(texts: readonly (readonly string[])[]): number {
  let characters = 0;
  for (const column of texts) {
    for (const text of column) {
      characters += text.length;
      if (!SURROGATE.test(text)) continue;
      // A surrogate pair is one character.
      for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) === 0xdc00) characters--;
    }
  }
  return characters;
}
