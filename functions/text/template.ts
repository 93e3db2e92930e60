import type { Encoding, Tokenizer } from '@anush008/tokenizers';
import { ServingError } from '../errors.ts';

/** A place in the tokens of an input: a special token, or the tokens of its first or second text. */
export type Slot =
  | { readonly id: number; readonly token: string; readonly typeId: number }
  | { readonly sequence: 0 | 1; readonly typeId: number };

/** What a tokenizer makes of one text and of a pair: the special tokens, and where the texts are between them. */
export interface Template {
  readonly single: readonly Slot[];
  readonly pair: readonly Slot[];
}

/** A text that every vocabulary has tokens for. */
const TEXT = 'a';

/**
 * Reads the template from the tokens of a sample, so that it is that of the library for every kind of post-processor.
 * @param file the display name of `tokenizer.json`, for errors
 * @throws ServingError `MODEL_FAILED` if the tokenizer has no tokens for the sample
 */
export async function readTemplate(core: Tokenizer, file: string): Promise<Template> {
  let encodings: [Encoding, Encoding];
  try {
    encodings = [await core.encode(TEXT), await core.encode(TEXT, TEXT)];
  } catch (cause) {
    const message = `${file} has no tokens for the text "${TEXT}": ${(cause as Error).message}`;
    throw new ServingError('MODEL_FAILED', message, { cause });
  }
  const single = slotsOf(encodings[0]);
  const pair = slotsOf(encodings[1]);
  const count = (slots: readonly Slot[]) => slots.filter((slot) => 'sequence' in slot).length;
  if (count(single) !== 1 || count(pair) !== 2) {
    const message = `${file}: expected tokens for the text "${TEXT}" once, and twice for a pair of it; got ${count(single)} and ${count(pair)}`;
    throw new ServingError('MODEL_FAILED', message);
  }
  return { single, pair };
}

function slotsOf(encoding: Encoding): Slot[] {
  const typeIds = encoding.getTypeIds();
  const special = encoding.getSpecialTokensMask();
  const sequences = encoding.getSequenceIds();
  const tokens = encoding.getTokens();
  const slots: Slot[] = [];
  for (const [i, id] of encoding.getIds().entries()) {
    const typeId = typeIds[i]!;
    if (special[i] === 1) {
      slots.push({ id, token: tokens[i]!, typeId });
      continue;
    }
    const sequence = sequences[i] === 1 ? 1 : 0;
    const last = slots.at(-1);
    // A text may have several tokens: they are one slot.
    if (last !== undefined && 'sequence' in last && last.sequence === sequence) continue;
    slots.push({ sequence, typeId });
  }
  return slots;
}
