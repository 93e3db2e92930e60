import { META, NOT_NORMALIZED } from '../engine/prepared/text-meta.ts';
import { ServingError } from '../errors.ts';
import { listNames, shorten } from '../shorten.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { paddedLength } from '../text/row-length.ts';
import type { PreparedRow, TextOptions } from './preprocessor.ts';

/** The tokens of a row: views of the memory of several. */
export interface RowTokens {
  readonly ids: Int32Array;
  readonly types: Uint8Array;
  /** Tokens before truncation; `ids` has those after it. */
  readonly untruncatedLength: number;
  /** The tokens of the prompt that take no part in pooling. */
  readonly promptLength: number;
}

/** How rows of tokens become inputs of the engine. */
export interface RowOptions extends Pick<TextOptions, 'truncate'> {
  /** Whether embeddings are normalized. */
  readonly normalize: boolean;
  /** The most tokens of a row. */
  readonly maxLength: number;
  /** The tokens to which the model has every row padded; undefined: see `paddedLength`. */
  readonly width: number | undefined;
}

/** @returns feeds of one row; or its error if it has no tokens, or more than it may have */
export function toRow(tokens: RowTokens, options: RowOptions): PreparedRow {
  const { ids, types, untruncatedLength, promptLength } = tokens;
  const { truncate = true, maxLength, normalize } = options;
  if (!truncate && untruncatedLength > ids.length) {
    return invalid(
      `the text has ${untruncatedLength} tokens: expected at most ${maxLength}, because truncate is false`,
    );
  }
  if (ids.length === 0) return invalid('the text has no tokens: expected at least one');
  const width = options.width ?? paddedLength(ids.length);
  const meta = new Int32Array(META.columns);
  meta[META.length] = ids.length;
  meta[META.untruncatedLength] = untruncatedLength;
  meta[META.promptLength] = promptLength;
  meta[META.flags] = normalize ? 0 : NOT_NORMALIZED;
  // Copies: the memory is that of many rows, which would be kept while one of them waits.
  const padded = { ids: new Int32Array(width), types: new Uint8Array(width) };
  padded.ids.set(ids);
  padded.types.set(types);
  const tensors: Tensor[] = [
    { dtype: 'int32', dims: [1, width], data: padded.ids },
    { dtype: 'uint8', dims: [1, width], data: padded.types },
    { dtype: 'int32', dims: [1, META.columns], data: meta },
  ];
  return { feeds: { tensors, rows: 1 } };
}

/**
 * The rows of token ids that callers give instead of texts: they are used as they are, without special tokens or a prompt.
 * @param tensor int32 `[rows, length]`, padded with -1 at the end
 * @param vocabularySize ids are below it
 */
export function idRows({ dims, data }: Tensor, vocabularySize: number, options: RowOptions): PreparedRow[] {
  const [rows, length] = dims as [number, number];
  const values = data as Int32Array;
  return Array.from({ length: rows }, (_, row) => {
    const own = values.subarray(row * length, (row + 1) * length);
    const end = own.indexOf(-1);
    const given = end === -1 ? own : own.subarray(0, end);
    const foreign = own.findIndex((id, i) => (i < given.length ? id < 0 || id >= vocabularySize : id !== -1));
    if (foreign !== -1) {
      const expected = `expected 0 to ${vocabularySize - 1}`;
      return invalid(`the token id ${own[foreign]} at ${foreign} is not of the vocabulary: ${expected}`);
    }
    const ids = given.subarray(0, options.maxLength);
    const types = new Uint8Array(ids.length);
    return toRow({ ids, types, untruncatedLength: given.length, promptLength: 0 }, options);
  });
}

/**
 * Finds the prompt of a request.
 * @param prompts of the model, by name
 * @throws ServingError `INVALID_INPUT` that names those which there are
 */
export function promptOf(name: string | undefined, prompts: Readonly<Record<string, string>>): string {
  if (name === undefined) return '';
  if (Object.hasOwn(prompts, name)) return prompts[name]!;
  const names = Object.keys(prompts);
  const known = names.length === 0 ? 'the model has no prompts' : `expected one of ${listNames(names)}`;
  throw new ServingError('INVALID_INPUT', `the prompt "${shorten(name)}" is not known: ${known}`);
}

/** A row that callers can mend. */
export function invalid(message: string): { readonly error: ServingError } {
  return { error: new ServingError('INVALID_INPUT', message) };
}
