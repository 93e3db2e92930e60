import type { Feeds } from '../engine/batch-rows.ts';
import type { AdmissionOptions, RequestTerms } from '../engine/batcher.ts';
import type { TextPreparation } from '../engine/prepared/preparation.ts';
import { META } from '../engine/prepared/text-meta.ts';
import { ServingError } from '../errors.ts';
import {
  elementCount,
  type Signature,
  type Tensor,
  type TensorData,
  type TensorSpec,
  valuesOf,
} from '../tensor/tensor.ts';
import type { PreparedRow, PreprocessOptions, Preprocessor, PreprocessorOptions, TextOptions } from './preprocessor.ts';
import { MODE, type TokenizedText } from './process/text-frames.ts';
import { givenIds, invalid, promptOf, type RowOptions, type RowTokens, toRow } from './text-rows.ts';
import { openTokenizers, type TokenizerRow, type Tokenizers } from './tokenizers.ts';

/** UTF-16 units: about a second of a CPU. Text-embeddings-inference takes 2 MB a request by default. */
const MOST_CHARACTERS = 2 ** 20;
const SAMPLE = 'The quick brown fox jumps over the lazy dog, and a second sentence makes it longer.';
/** More than any text has. */
const UNLIMITED = 2 ** 31 - 1;
const ALWAYS: RequestTerms = { cancelled: false };
const TEXT: TensorSpec = { name: 'text', dtype: 'string', shape: [-1] };
const PAIR: TensorSpec = { name: 'text_pair', dtype: 'string', shape: [-1] };
const ENTITIES: TensorSpec = { name: 'entities', dtype: 'string', shape: [-1] };

/**
 * Starts the processes that tokenize the texts of a model.
 *
 * Callers send a string `text`; to a model for reranking also `text_pair`. A classifier of pairs, such as one that says whether a text
 * follows from another, takes pairs if model.json sets its task to `reranking`. Instead of texts they may send their tokens: an int32
 * tensor `[rows, length]`, padded with -1, for the one input of `signature`.
 *
 * Outputs are those of `textSession`; of a model that labels tokens `entities`, JSON of an array of `Entity` for each text, instead of
 * the model's own. Outputs by token of a model without a task have those of the row alone.
 * @throws ServingError `MODEL_FAILED` that names `tokenizer.json` if it does not load
 */
export async function createTextPreprocessor(
  preparation: TextPreparation,
  options: PreprocessorOptions,
): Promise<Preprocessor> {
  const { settings } = preparation;
  const task = settings.task?.value;
  const tokenizers = await openTokenizers(preparation, options);
  const takesPairs = task === 'reranking';
  const prompts = takesPairs ? {} : (settings.prompts?.value ?? {});
  const defaultPrompt = takesPairs ? undefined : settings.defaultPrompt?.value;
  const promptLengths = settings.includePrompt?.value === false ? await lengthsOf(prompts, tokenizers) : new Map();
  /** The texts of rows whose tokens get labels. */
  const texts = new WeakMap<Feeds, string>();
  let width: number | undefined;
  let maxLength = settings.maxLength.value;

  function rowOptions({ truncate, normalize = settings.normalize?.value ?? false }: TextOptions): RowOptions {
    return { truncate, normalize, maxLength, width };
  }

  async function prepare(
    { tensors, rows }: Feeds,
    terms: RequestTerms,
    { text = {}, ...admission }: AdmissionOptions & PreprocessOptions = {},
  ): Promise<readonly PreparedRow[]> {
    const [first, second] = tensors;
    const own = rowOptions(text);
    if (first!.dtype === 'int32') {
      if (text.prompt !== undefined) {
        throw new ServingError('INVALID_INPUT', 'a prompt is put before a text: expected no prompt beside token ids');
      }
      return givenIds(first!, maxLength, tokenizers.vocabularySize).map((one) =>
        one instanceof ServingError ? { error: one } : toRow(one, own),
      );
    }
    const name = text.prompt ?? defaultPrompt;
    const prompt = promptOf(name, prompts);
    const given = first!.data as string[];
    const pairs = second?.data as string[] | undefined;
    const prompted = prompt === '' ? given : given.map((one) => prompt + one);
    const long = given.map((one, row) => one.length + (pairs?.[row]?.length ?? 0) > MOST_CHARACTERS);
    const wanted = long.flatMap((isLong, row) => (isLong ? [] : [row]));
    const tokenized = await tokenize(
      wanted.map((row) => prompted[row]!),
      pairs && wanted.map((row) => pairs[row]!),
    );
    const prepared = new Array<PreparedRow>(rows).fill(TOO_LONG);
    for (const [i, row] of wanted.entries()) {
      const one = tokenized[i]!;
      prepared[row] = 'error' in one ? one : toRow(tokensOf(one, promptLengths.get(name) ?? 0), own);
      if (task === 'token-classification' && 'feeds' in prepared[row]) texts.set(prepared[row].feeds, prompted[row]!);
    }
    return prepared;

    function tokenize(firsts: string[], seconds: string[] | undefined): Promise<TokenizerRow[]> {
      if (firsts.length === 0) return Promise.resolve([]);
      return tokenizers.run(requestOf(firsts, seconds, maxLength, MODE.ids), terms, admission);
    }
  }

  async function entitiesOf(prepared: Feeds, outputs: readonly Tensor[]): Promise<readonly Tensor[]> {
    const text = texts.get(prepared);
    if (text === undefined)
      throw new ServingError('INVALID_INPUT', 'entities are parts of a text: expected a text, and not token ids');
    const logits = outputs.find(({ dims, dtype }) => dims.length === 3 && dtype.startsWith('float'));
    if (logits === undefined) {
      throw new ServingError('MODEL_FAILED', 'the model has no output of numbers for labels of each token');
    }
    const data = Float32Array.from(valuesOf(logits) as ArrayLike<number>);
    const scores: Tensor = { dtype: 'float32', dims: logits.dims, data };
    const request = requestOf([text], undefined, maxLength, MODE.places);
    const feeds = { tensors: [...request.tensors, scores], rows: 1 };
    const [row] = await tokenizers.run(feeds, ALWAYS, { begun: true });
    if ('error' in row!) throw row.error;
    const entities = (row!.outputs[0]!.data as string[])[row!.at]!;
    return [{ dtype: 'string', dims: [1], data: [entities] }, ...outputs.slice(-2)];
  }

  return {
    signature(engine) {
      const fixed = engine.inputs[0]!.shape[1]!;
      if (fixed !== -1) {
        width = fixed;
        maxLength = Math.min(maxLength, fixed);
      }
      return signatureOf(engine, task);
    },
    prepare,
    async sample() {
      const pair = takesPairs ? [{ dtype: 'string' as const, dims: [1], data: [SAMPLE] }] : [];
      const feeds: Feeds = { tensors: [{ dtype: 'string', dims: [1], data: [SAMPLE] }, ...pair], rows: 1 };
      const [row] = await prepare(feeds, ALWAYS);
      return 'feeds' in row! ? row.feeds : undefined;
    },
    ...(task === 'token-classification' && { finish: entitiesOf }),
    ...(task === undefined && { finish: trimRow }),
    async tokenize(given, terms, { text = {}, ...admission } = {}) {
      if (given.some(({ length }) => length > MOST_CHARACTERS)) throw TOO_LONG.error;
      if (given.length === 0) return [];
      const prompt = promptOf(text.prompt ?? defaultPrompt, prompts);
      const request = requestOf(
        given.map((one) => prompt + one),
        undefined,
        UNLIMITED,
        MODE.places,
      );
      return (await tokenizers.run(request, terms, admission)).map(readTokenized);
    },
    depth: tokenizers.depth,
    close: tokenizers.close,
  };
}

const TOO_LONG = invalid(`the text has more than ${MOST_CHARACTERS} characters: send it in parts`);

/** What callers see. Rows are theirs to number, whatever batch size the export has. */
function signatureOf(engine: Signature, task: string | undefined): Signature {
  const outputs = engine.outputs.map((spec) =>
    spec.shape.length === 0 ? spec : { ...spec, shape: [-1, ...spec.shape.slice(1)] },
  );
  return {
    inputs: task === 'reranking' ? [TEXT, PAIR] : [TEXT],
    outputs: task === 'token-classification' ? [ENTITIES, ...outputs.slice(-2)] : outputs,
  };
}

/** A request of `text-frames.ts`. */
function requestOf(firsts: string[], seconds: string[] | undefined, maxLength: number, mode: number): Feeds {
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
function tokensOf({ outputs, at }: Exclude<TokenizerRow, { error: ServingError }>, promptLength: number): RowTokens {
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

function readTokenized(row: TokenizerRow): TokenizedText {
  if ('error' in row) throw row.error;
  return JSON.parse((row.outputs[3]!.data as string[])[row.at]!) as TokenizedText;
}

/**
 * The tokens of each prompt that take no part in pooling, as sentence-transformers counts them: special tokens before it included, and
 * the one after it not.
 */
async function lengthsOf(
  prompts: Readonly<Record<string, string>>,
  tokenizers: Tokenizers,
): Promise<ReadonlyMap<string | undefined, number>> {
  const names = Object.keys(prompts);
  if (names.length === 0) return new Map();
  const request = requestOf(Object.values(prompts), undefined, UNLIMITED, MODE.places);
  const rows = (await tokenizers.run(request, ALWAYS)).map(readTokenized);
  return new Map(rows.map(({ special }, i) => [names[i], special.length - (special.at(-1) === true ? 1 : 0)]));
}

/** Outputs by token without those of the padding. */
async function trimRow(prepared: Feeds, outputs: readonly Tensor[]): Promise<readonly Tensor[]> {
  const [ids, , meta] = prepared.tensors;
  const length = (meta!.data as Int32Array)[META.length]!;
  return outputs.map((output): Tensor => {
    const { dtype, dims, data } = output;
    if (dims.length < 3 || dims[1] !== ids!.dims[1]) return output;
    const kept = [1, length, ...dims.slice(2)];
    return { dtype, dims: kept, data: data.slice(0, elementCount(kept)) as TensorData };
  });
}
