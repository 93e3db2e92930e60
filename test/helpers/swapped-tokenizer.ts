import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REFS } from '../text/refs.ts';

/** Two words with tokens of their own in `tokenizer.json` of the reference models. */
export const [THIS, THAT] = ['the', 'not'] as const;

/** `tokenizer.json` of a reference model, in which {@link THIS} has the token of {@link THAT}, and the other way round. */
export function swappedTokenizer(model: string): Uint8Array {
  const json = JSON.parse(readFileSync(join(REFS, 'models', model, 'tokenizer.json'), 'utf8'));
  const { vocab } = json.model as { vocab: Record<string, number> };
  [vocab[THIS], vocab[THAT]] = [vocab[THAT]!, vocab[THIS]!];
  return Buffer.from(JSON.stringify(json));
}
