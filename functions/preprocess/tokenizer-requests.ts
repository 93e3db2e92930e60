import type { Feeds } from '../engine/batch-rows.ts';
import type { RequestTerms } from '../engine/batcher.ts';
import type { ServingError } from '../errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { MODE, type TokenizedText } from './process/text-frames.ts';
import type { RowTokens } from './text-rows.ts';
import type { TokenizerRow, Tokenizers } from './tokenizers.ts';

/** More tokens than any text has. */
export const UNLIMITED = 2 ** 31 - 1;
/** Of work that no request waits for, or that has begun. */
export const ALWAYS: RequestTerms = { cancelled: false };

/** A request of `text-frames.ts`. */
export function requestOf(firsts: string[], seconds: string[] | undefined, maxLength: number, mode: number): Feeds {
  const rows = firsts.length;
  const terms = new Int32Array(2 * rows);
  for (let row = 0; row < rows; row++) {
    terms[2 * row] = maxLength;
    terms[2 * row + 1] = mode;
  }
  const texts = [firsts, ...(seconds === undefined ? [] : [seconds])];
  const strings = texts.map((data): Tensor => ({ dtype: 'string', dims: [rows], data }));
  return { tensors: [{ dtype: 'int32', dims: [rows, 2], data: terms }, ...strings], rows };
}

/** The tokens of a row of a result of `text-frames.ts`. */
export function tokensOf(
  { outputs, at }: Exclude<TokenizerRow, { error: ServingError }>,
  promptLength: number,
): RowTokens {
  const [ids, types, lengths] = outputs as [Tensor, Tensor, Tensor];
  const [length, untruncatedLength] = (lengths.data as Int32Array).subarray(2 * at, 2 * at + 2) as unknown as [
    number,
    number,
  ];
  const from = at * ids.dims[1]!;
  return {
    ids: (ids.data as Int32Array).subarray(from, from + length),
    types: (types.data as Uint8Array).subarray(from, from + length),
    untruncatedLength,
    promptLength,
  };
}

export function readTokenized(row: TokenizerRow): TokenizedText {
  if ('error' in row) throw row.error;
  return JSON.parse((row.outputs[3]!.data as string[])[row.at]!) as TokenizedText;
}

/**
 * The tokens of each prompt that take no part in pooling, as sentence-transformers counts them: special tokens before it included, and
 * the one after it not.
 */
export async function promptLengthsOf(
  prompts: Readonly<Record<string, string>>,
  tokenizers: Tokenizers,
): Promise<ReadonlyMap<string | undefined, number>> {
  const names = Object.keys(prompts);
  if (names.length === 0) return new Map();
  const request = requestOf(Object.values(prompts), undefined, UNLIMITED, MODE.places);
  const rows = (await tokenizers.run(request, ALWAYS)).map(readTokenized);
  return new Map(rows.map(({ special }, i) => [names[i], special.length - (special.at(-1) === true ? 1 : 0)]));
}
