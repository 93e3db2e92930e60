import type { Feeds } from '../engine/batch-rows.ts';
import type { AdmissionOptions, RequestTerms } from '../engine/batcher.ts';
import type { TextPreparation } from '../engine/prepared/preparation.ts';
import { ServingError } from '../errors.ts';
import type { Signature, TensorSpec } from '../tensor/tensor.ts';
import type { PreparedRow, PreprocessOptions, Preprocessor, PreprocessorOptions, TextOptions } from './preprocessor.ts';
import { MODE } from './process/text-frames.ts';
import { findRowEntities, trimRow } from './text-outputs.ts';
import { idRows, invalid, promptOf, type RowOptions, toRow } from './text-rows.ts';
import { ALWAYS, promptLengthsOf, readTokenized, requestOf, tokensOf, UNLIMITED } from './tokenizer-requests.ts';
import { openTokenizers } from './tokenizers.ts';

/** UTF-16 units: about a second of a CPU. Text-embeddings-inference takes 2 MB a request by default. */
const MOST_CHARACTERS = 2 ** 20;
/** Their tokens and places go through the serving process as JSON: about 3 MB. */
const MOST_CHARACTERS_WITH_PLACES = 2 ** 16;
/** Of the warm-up, which runs as many rows as a run may have: a longer text would delay the start. */
const SAMPLE = 'sample';
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
  const counted = settings.includePrompt?.value === false ? prompts : {};
  const promptLengths = await promptLengthsOf(counted, tokenizers).catch(async (error) => {
    await tokenizers.close();
    throw error;
  });
  /** The texts of rows whose tokens get labels. */
  const texts = new WeakMap<Feeds, string>();
  /** The tokens of every row of a model of one length; otherwise -1. */
  let fixed = -1;
  let engineOutputs: readonly TensorSpec[] = [];
  let maxLength = settings.maxLength.value;

  function rowOptions({ truncate, normalize = settings.normalize?.value ?? false }: TextOptions): RowOptions {
    return { truncate, normalize, maxLength, width: fixed === -1 ? undefined : fixed };
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
      return idRows(first!, tokenizers.vocabularySize, own);
    }
    const name = text.prompt ?? defaultPrompt;
    const prompt = promptOf(name, prompts);
    const given = first!.data as string[];
    const pairs = second?.data as string[] | undefined;
    const prompted = prompt === '' ? given : given.map((one) => prompt + one);
    const long = given.map((one, row) => one.length + (pairs?.[row]?.length ?? 0) > MOST_CHARACTERS);
    const wanted = long.flatMap((isLong, row) => (isLong ? [] : [row]));
    const request = requestOf(
      wanted.map((row) => prompted[row]!),
      pairs && wanted.map((row) => pairs[row]!),
      maxLength,
      MODE.ids,
    );
    const tokenized = wanted.length === 0 ? [] : await tokenizers.run(request, terms, admission);
    const prepared = new Array<PreparedRow>(rows).fill(TOO_LONG);
    for (const [i, row] of wanted.entries()) {
      const one = tokenized[i]!;
      prepared[row] = 'error' in one ? one : toRow(tokensOf(one, promptLengths.get(name) ?? 0), own);
      if (task === 'token-classification' && 'feeds' in prepared[row]) texts.set(prepared[row].feeds, prompted[row]!);
    }
    return prepared;
  }

  return {
    signature(engine) {
      engineOutputs = engine.outputs;
      fixed = engine.inputs[0]!.shape[1]!;
      if (fixed !== -1) maxLength = Math.min(maxLength, fixed);
      return signatureOf(engine, task);
    },
    prepare,
    async sample() {
      const pair = takesPairs ? [{ dtype: 'string' as const, dims: [1], data: [SAMPLE] }] : [];
      const feeds: Feeds = { tensors: [{ dtype: 'string', dims: [1], data: [SAMPLE] }, ...pair], rows: 1 };
      const [row] = await prepare(feeds, ALWAYS);
      return 'feeds' in row! ? row.feeds : undefined;
    },
    ...(task === 'token-classification' && {
      finish: (prepared, outputs) => findRowEntities(tokenizers, texts.get(prepared), maxLength, outputs),
    }),
    ...(task === undefined && {
      finish: (prepared, outputs) => trimRow(prepared, outputs, engineOutputs, fixed),
    }),
    async tokenize(given, terms, { text = {}, ...admission } = {}) {
      if (given.some(({ length }) => length > MOST_CHARACTERS_WITH_PLACES)) {
        throw tooLong(MOST_CHARACTERS_WITH_PLACES).error;
      }
      if (given.length === 0) return [];
      const prompt = promptOf(text.prompt ?? defaultPrompt, prompts);
      const prompted = given.map((one) => prompt + one);
      const request = requestOf(prompted, undefined, UNLIMITED, MODE.places);
      return (await tokenizers.run(request, terms, admission)).map(readTokenized);
    },
    refuse: tokenizers.refuse,
    depth: tokenizers.depth,
    processes: tokenizers.processes,
    close: tokenizers.close,
  };
}

const tooLong = (most: number) => invalid(`the text has more than ${most} characters: send it in parts`);
const TOO_LONG = tooLong(MOST_CHARACTERS);

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
