import type { Feeds } from '../../engine/batch-rows.ts';
import { describe } from '../../tensor/fill.ts';
import { isArray, type JsonValue } from '../../tensor/json/reader.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { invalid, readList, readText, readTexts } from './fields.ts';

/** Rows of a request that may be queued together. */
export interface TextPart {
  readonly feeds: Feeds;
  /** The index of the row in the request, by row of the feeds; undefined if both are the same. */
  readonly places: readonly number[] | undefined;
}

/** The texts of a request, a row each. */
export interface TextInput {
  readonly rows: number;
  readonly parts: readonly TextPart[];
  /** The texts, by input of the model: of pairs the first texts, then the second ones. None if token ids were given. */
  readonly columns: readonly (readonly string[])[];
  /** The place of a row in the body, for errors: `inputs[3]`. */
  placeOf(row: number): string;
}

/** The limits of token ids. */
interface TokenLimits {
  readonly maxLength: number;
  readonly truncate?: boolean | undefined;
}

/** Token ids are below it: they are int32 in the engine. */
const MAX_ID = 2 ** 31;
/** What is behind the ids of a row that is shorter than others. */
const NO_ID = -1;

/** Rows of texts. @param columns the texts of each input, in the order of the signature */
export function textInput(columns: readonly (readonly string[])[], placeOf: TextInput['placeOf']): TextInput {
  const rows = columns[0]!.length;
  const tensors = columns.map((data): Tensor => ({ dtype: 'string', dims: [rows], data: data as string[] }));
  return { rows, parts: [{ feeds: { tensors, rows }, places: undefined }], columns, placeOf };
}

/** One text, or texts. @throws ServingError `INVALID_INPUT`; `TOO_LARGE` for too many */
export const readTextList = (value: JsonValue | undefined, path: string): string[] =>
  isArray(value) ? readTexts(value, path) : [readText(value, path)];

/**
 * Reads one text, texts, the token ids of one text, or those of several.
 * @param limits the most tokens of a row, and whether a longer one is truncated. Of such token ids one more is kept, so that it is known
 * that they are truncated; texts are truncated by the tokenizer.
 * @throws ServingError `INVALID_INPUT`; `TOO_LARGE` for too many
 */
export function readInput(value: JsonValue | undefined, path: string, limits: TokenLimits): TextInput {
  if (!isArray(value)) return textInput([[readText(value, path)]], () => path);
  const placeOf = (row: number): string => `${path}[${row}]`;
  if (typeof value[0] === 'number' || value instanceof Float64Array) {
    if (value.length === 0) readList(value, path, '');
    return idInput([readIds(value, path, limits)], () => path);
  }
  if (!isArray(value[0])) return textInput([readTexts(value, path)], placeOf);
  const lists = readList(value, path, 'texts or token ids');
  return idInput(
    Array.from(lists, (ids, row) => readIds(ids, placeOf(row), limits)),
    placeOf,
  );
}

function readIds(value: JsonValue, path: string, { maxLength, truncate = true }: TokenLimits): Int32Array {
  if (!isArray(value)) throw invalid(path, `expected an array of token ids, got ${describe(value)}`);
  if (value.length === 0) throw invalid(path, 'expected one token id at least, got an empty array');
  if (!truncate && value.length > maxLength) {
    const message = `${value.length} token ids: expected at most ${maxLength}, because truncate is false`;
    throw invalid(path, message);
  }
  const ids = new Int32Array(Math.min(value.length, maxLength + 1));
  for (let i = 0; i < value.length; i++) {
    const id = value[i]!;
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= MAX_ID) {
      throw invalid(`${path}[${i}]`, `expected a token id, an integer from 0 on, got ${describe(id)}`);
    }
    if (i < ids.length) ids[i] = id;
  }
  return ids;
}

/** Rows of token ids. Those of similar length are parts: one long row does not have all others padded to its length. */
function idInput(lists: readonly Int32Array[], placeOf: TextInput['placeOf']): TextInput {
  const groups = Map.groupBy(lists.keys(), (row) => Math.ceil(Math.log2(lists[row]!.length)));
  const parts = Array.from(groups.values(), (places): TextPart => {
    const longest = places.reduce((most, row) => Math.max(most, lists[row]!.length), 0);
    const data = new Int32Array(places.length * longest).fill(NO_ID);
    for (const [i, row] of places.entries()) data.set(lists[row]!, i * longest);
    const tensors: Tensor[] = [{ dtype: 'int32', dims: [places.length, longest], data }];
    return { feeds: { tensors, rows: places.length }, places: groups.size === 1 ? undefined : places };
  });
  return { rows: lists.length, parts, columns: [], placeOf };
}
