import { randomUUID } from 'node:crypto';
import { ServingError } from '../errors.ts';

/** A token beside the vocabulary. */
export interface AddedToken {
  readonly id: number;
  content: string;
  readonly special: boolean;
}

/** The parts of `tokenizer.json` that this room reads or changes. */
export interface TokenizerFile {
  truncation?: unknown;
  padding?: unknown;
  added_tokens?: AddedToken[];
  post_processor?: unknown;
  model?: {
    vocab?: Record<string, number> | [string, number][];
    continuing_subword_prefix?: string | null;
    unk_token?: string | null;
    unk_id?: number | null;
  };
}

/**
 * Reads `tokenizer.json` as far as this room needs it; the library checks the rest.
 * @param file its display name, for errors
 * @throws ServingError `MODEL_FAILED` that names the file and the field
 */
export function parseTokenizer(json: string, file: string): TokenizerFile {
  let value: unknown;
  try {
    value = JSON.parse(json.startsWith('\ufeff') ? json.slice(1) : json);
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ServingError('MODEL_FAILED', `${file}: expected an object, with a field "model"`);
  }
  const { added_tokens: added } = value as { added_tokens?: unknown };
  if (added !== undefined && !(Array.isArray(added) && added.every(isAddedToken))) {
    throw new ServingError(
      'MODEL_FAILED',
      `${file}: added_tokens: expected an array of tokens with "id" and "content"`,
    );
  }
  checkProcessor((value as TokenizerFile).post_processor, `${file}: post_processor`);
  return value as TokenizerFile;
}

function isAddedToken(value: unknown): value is AddedToken {
  const { id, content } = (value ?? {}) as Partial<AddedToken>;
  return Number.isInteger(id) && typeof content === 'string';
}

/**
 * Makes the names of special tokens text. The binding has no `encode_special_tokens`, so that a special token which the
 * vocabulary has too is removed from the added tokens, and one that only they have gets a name which no caller can guess: removed,
 * it would move the ids of those after it.
 */
export function hideSpecialTokens(file: TokenizerFile): void {
  const vocabulary = file.model?.vocab;
  const known = Array.isArray(vocabulary) ? new Set(vocabulary.map(([token]) => token)) : undefined;
  const has = (token: string) => known?.has(token) ?? Object.hasOwn((vocabulary as object | undefined) ?? {}, token);
  const kept = (file.added_tokens ?? []).filter(({ special, content }) => !special || !has(content));
  for (const token of kept) if (token.special) token.content = `${token.content}${randomUUID()}`;
  file.added_tokens = kept;
}

/** The library ends the process when a template has a special token without ids. */
function checkProcessor(value: unknown, place: string): void {
  const { type, processors, ...template } = (value ?? {}) as Record<string, unknown>;
  if (type === 'Sequence' && Array.isArray(processors)) {
    for (const [i, processor] of processors.entries()) checkProcessor(processor, `${place}.processors[${i}]`);
  }
  if (type !== 'TemplateProcessing') return;
  const known = (template.special_tokens ?? {}) as Record<string, { ids?: unknown }>;
  for (const field of ['single', 'pair']) {
    const slots = template[field];
    for (const slot of Array.isArray(slots) ? slots : []) {
      const name = (slot as { SpecialToken?: { id?: unknown } } | null)?.SpecialToken?.id;
      if (name === undefined || (Object.hasOwn(known, String(name)) && Array.isArray(known[String(name)]?.ids)))
        continue;
      throw new ServingError('MODEL_FAILED', `${place}.${field}: expected ids of the token ${name} in special_tokens`);
    }
  }
}
