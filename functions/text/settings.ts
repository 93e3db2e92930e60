import * as z from 'zod';
import { ServingError } from '../errors.ts';
import type { PoolingMode } from './pooling.ts';
import { firstPosition } from './positions.ts';

/** A value of an export, and where it was found. */
export interface Found<T> {
  readonly value: T;
  /** The file below the export's folder; `default` if no file has the field. */
  readonly file: string;
  /** The field of the file, as a path: `pooling_mode_cls_token`. */
  readonly field: string;
}

/** What a model of an export is for. */
export type TextTask = 'embedding' | 'classification' | 'reranking' | 'token-classification';

/** What the files of an export say about texts. A field is undefined if no file says it and nothing follows from it. */
export interface TextSettings {
  /** The family of the model, such as `bert`. */
  readonly modelType: Found<string> | undefined;
  /** Undefined for a model that is for something else, such as `BertForMaskedLM`. */
  readonly task: Found<TextTask> | undefined;
  /** The effective limit in tokens: the lowest of {@link lengths}. */
  readonly maxLength: Found<number>;
  /** Every limit that a file has. That of `tokenizer.json` is not used if another file has one: exports have it from their training. */
  readonly lengths: readonly Found<number>[];
  readonly truncationSide: Found<'right' | 'left'>;
  readonly paddingSide: Found<'right' | 'left'>;
  /** The token that fills a row; its id is `padTokenId` unless the tokenizer has another. */
  readonly padToken: Found<string> | undefined;
  readonly padTokenId: Found<number> | undefined;
  /** Whether texts are put into lower case before the tokenizer. */
  readonly lowerCase: Found<boolean>;
  /** The names of the labels, by index; `LABEL_0` and `LABEL_1` for a classifier whose file has none. */
  readonly labels: Found<readonly string[]> | undefined;
  /** What turns logits into scores. */
  readonly activation: Found<'softmax' | 'sigmoid' | 'none'> | undefined;
  /** Of embeddings alone, as the next three. */
  readonly pooling: Found<PoolingMode> | undefined;
  readonly normalize: Found<boolean> | undefined;
  /** Whether the tokens of a prompt take part in pooling. */
  readonly includePrompt: Found<boolean> | undefined;
  /** The values of an embedding, if a file says it. */
  readonly dimensions: Found<number> | undefined;
  /** Texts to put before a caller's text, by name: `query`, `passage`. */
  readonly prompts: Found<Readonly<Record<string, string>>> | undefined;
  readonly defaultPrompt: Found<string> | undefined;
}

/** The names of the files that {@link readTextSettings} reads, beside those that `modules.json` names. */
export const SETTINGS_FILES = [
  'config.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'sentence_bert_config.json',
  'modules.json',
  '1_Pooling/config.json',
  'config_sentence_transformers.json',
] as const;

/** The length for a model whose files have none: that of sentence-transformers' and BERT's models. */
const DEFAULT_LENGTH = 512;
/** Transformers leaves its own names out when it writes a configuration. */
const DEFAULT_LABELS: readonly string[] = ['LABEL_0', 'LABEL_1'];
/** Transformers writes 10^30 where a tokenizer has no limit. */
const NO_LIMIT = 1e9;

const length = z.number().positive();
const tokenText = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
const side = z.enum(['right', 'left']);
const index = z.number().int().nonnegative();

const configSchema = z.looseObject({
  model_type: z.string().nullish(),
  architectures: z.array(z.string()).nullish(),
  max_position_embeddings: length.int().nullish(),
  pad_token_id: index.nullish(),
  id2label: z.record(z.string().regex(/^\d+$/, 'expected the index of a label as a name'), z.string()).nullish(),
  problem_type: z.enum(['regression', 'single_label_classification', 'multi_label_classification']).nullish(),
});
const tokenizerConfigSchema = z.looseObject({
  model_max_length: length.nullish(),
  pad_token: tokenText.nullish(),
  padding_side: side.nullish(),
  truncation_side: side.nullish(),
});
const specialTokensSchema = z.looseObject({ pad_token: tokenText.nullish() });
const sentenceConfigSchema = z.looseObject({
  max_seq_length: length.int().nullish(),
  do_lower_case: z.boolean().nullish(),
});
const modulesSchema = z.array(z.looseObject({ type: z.string(), path: z.string() })).min(1);
const promptsSchema = z.looseObject({
  prompts: z.record(z.string(), z.string()).nullish(),
  default_prompt_name: z.string().nullish(),
});
const POOLING_FIELDS = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len',
  pooling_mode_weightedmean_tokens: 'weighted_mean',
  pooling_mode_lasttoken: 'last',
} as const satisfies Record<string, PoolingMode>;
const poolingSchema = z.looseObject({
  word_embedding_dimension: z.number().int().positive().nullish(),
  include_prompt: z.boolean().nullish(),
  ...(Object.fromEntries(Object.keys(POOLING_FIELDS).map((field) => [field, z.boolean().nullish()])) as Record<
    keyof typeof POOLING_FIELDS,
    z.ZodOptional<z.ZodNullable<z.ZodBoolean>>
  >),
});
const tokenizerSchema = z.looseObject({ truncation: z.looseObject({ max_length: length.int() }).nullish() });

/** Reads a file of the export once, with its schema. */
class Files {
  readonly #texts: ReadonlyMap<string, string>;

  constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts;
  }

  read<T extends z.ZodType>(file: string, schema: T): z.infer<T> | undefined {
    const text = this.#texts.get(file);
    if (text === undefined) return undefined;
    let json: unknown;
    try {
      json = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text);
    } catch (cause) {
      throw new ServingError('MODEL_FAILED', `${file} is not JSON: ${(cause as Error).message}`, { cause });
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0]!;
    const at = issue.path.length === 0 ? 'the document' : issue.path.join('.');
    throw new ServingError('MODEL_FAILED', `${file}: ${at}: ${issue.message}`);
  }
}

/**
 * Reads what the files of a Hugging Face export say about texts.
 * @param texts the contents of the files by their path below the export's folder: {@link SETTINGS_FILES}, what `modules.json`
 *   names, and `tokenizer.json` if it is wanted for its length. A missing file is no error.
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes
 */
export function readTextSettings(texts: ReadonlyMap<string, string>): TextSettings {
  const files = new Files(texts);
  const config = files.read('config.json', configSchema);
  const tokenizer = files.read('tokenizer_config.json', tokenizerConfigSchema);
  const special = files.read('special_tokens_map.json', specialTokensSchema);
  const sentence = files.read('sentence_bert_config.json', sentenceConfigSchema);
  const named = labelsOf(config);
  const task = taskOf(config, named?.value.length, texts.has('modules.json'));
  const labels = named ?? (task?.value === 'classification' ? byDefault(DEFAULT_LABELS) : undefined);
  const lengths = lengthsOf(files, config, tokenizer, sentence);
  const usable = lengths.filter(({ file }) => file !== 'tokenizer.json');
  return {
    modelType: found(config?.model_type, 'config.json', 'model_type'),
    task,
    maxLength: lowest(usable.length > 0 ? usable : lengths) ?? byDefault(DEFAULT_LENGTH),
    lengths,
    truncationSide: found(tokenizer?.truncation_side, 'tokenizer_config.json', 'truncation_side') ?? byDefault('right'),
    paddingSide: found(tokenizer?.padding_side, 'tokenizer_config.json', 'padding_side') ?? byDefault('right'),
    padToken:
      found(special?.pad_token, 'special_tokens_map.json', 'pad_token') ??
      found(tokenizer?.pad_token, 'tokenizer_config.json', 'pad_token'),
    padTokenId: found(config?.pad_token_id, 'config.json', 'pad_token_id'),
    lowerCase: found(sentence?.do_lower_case, 'sentence_bert_config.json', 'do_lower_case') ?? byDefault(false),
    labels,
    activation: activationOf(config, task?.value, labels?.value.length),
    ...embeddingOf(files, task?.value),
  };
}

function found<T>(value: T | null | undefined, file: string, field: string): Found<T> | undefined {
  return value === undefined || value === null ? undefined : { value, file, field };
}

/** A value that no file has. */
function byDefault<T>(value: T): Found<T> {
  return { value, file: 'default', field: '' };
}

function lengthsOf(
  files: Files,
  config: z.infer<typeof configSchema> | undefined,
  tokenizer: z.infer<typeof tokenizerConfigSchema> | undefined,
  sentence: z.infer<typeof sentenceConfigSchema> | undefined,
): Found<number>[] {
  const unused = firstPosition(config?.model_type, config?.pad_token_id);
  const positions = config?.max_position_embeddings;
  const own = files.read('tokenizer.json', tokenizerSchema)?.truncation?.max_length;
  const lengths = [
    found(sentence?.max_seq_length, 'sentence_bert_config.json', 'max_seq_length'),
    found(tokenizer?.model_max_length, 'tokenizer_config.json', 'model_max_length'),
    found(positions == null ? undefined : positions - unused, 'config.json', 'max_position_embeddings'),
    found(own, 'tokenizer.json', 'truncation.max_length'),
  ];
  return lengths
    .filter((limit) => limit !== undefined && limit.value < NO_LIMIT)
    .map((limit) => ({ ...limit!, value: Math.floor(limit!.value) }));
}

function lowest(lengths: readonly Found<number>[]): Found<number> | undefined {
  return lengths.reduce<Found<number> | undefined>(
    (least, limit) => (least === undefined || limit.value < least.value ? limit : least),
    undefined,
  );
}

function labelsOf(config: z.infer<typeof configSchema> | undefined): Found<readonly string[]> | undefined {
  const names = config?.id2label;
  if (names == null) return undefined;
  const count = Object.keys(names).length;
  const labels = Array.from({ length: count }, (_, i) => names[i]);
  const missing = labels.indexOf(undefined);
  if (missing >= 0) {
    const message = `config.json: id2label: ${count} labels, and none has the index ${missing}: expected 0 to ${count - 1}`;
    throw new ServingError('MODEL_FAILED', message);
  }
  return { value: labels as string[], file: 'config.json', field: 'id2label' };
}

function taskOf(
  config: z.infer<typeof configSchema> | undefined,
  labels: number | undefined,
  isSentenceModel: boolean,
): Found<TextTask> | undefined {
  if (isSentenceModel) return { value: 'embedding', file: 'modules.json', field: '' };
  const name = config?.architectures?.[0];
  if (name === undefined) return undefined;
  const from = <T extends TextTask>(value: T) => ({ value, file: 'config.json', field: 'architectures.0' });
  if (name.endsWith('ForTokenClassification')) return from('token-classification');
  if (name.endsWith('ForSequenceClassification')) return from(labels === 1 ? 'reranking' : 'classification');
  return name.endsWith('Model') ? from('embedding') : undefined;
}

/** As transformers' pipeline chooses it: https://huggingface.co/docs/transformers/main_classes/pipelines, `function_to_apply`. */
function activationOf(
  config: z.infer<typeof configSchema> | undefined,
  task: TextTask | undefined,
  labels: number | undefined,
): TextSettings['activation'] {
  if (task === undefined || task === 'embedding') return undefined;
  if (task === 'token-classification') return byDefault('softmax');
  const byType = {
    regression: 'none',
    single_label_classification: 'softmax',
    multi_label_classification: 'sigmoid',
  } as const;
  const type = config?.problem_type;
  if (type != null) return { value: byType[type], file: 'config.json', field: 'problem_type' };
  return { value: labels === 1 ? 'sigmoid' : 'softmax', file: 'config.json', field: 'id2label' };
}

type EmbeddingSettings = Pick<
  TextSettings,
  'pooling' | 'normalize' | 'includePrompt' | 'dimensions' | 'prompts' | 'defaultPrompt'
>;

function embeddingOf(files: Files, task: TextTask | undefined): EmbeddingSettings {
  const prompting = files.read('config_sentence_transformers.json', promptsSchema);
  const prompts = {
    prompts: found(prompting?.prompts, 'config_sentence_transformers.json', 'prompts'),
    defaultPrompt: found(prompting?.default_prompt_name, 'config_sentence_transformers.json', 'default_prompt_name'),
  };
  const name = prompts.defaultPrompt?.value;
  if (name !== undefined && !Object.hasOwn(prompts.prompts?.value ?? {}, name)) {
    const message = `config_sentence_transformers.json: default_prompt_name: prompts has no "${name}"`;
    throw new ServingError('MODEL_FAILED', message);
  }
  if (task !== 'embedding') {
    return { pooling: undefined, normalize: undefined, includePrompt: undefined, dimensions: undefined, ...prompts };
  }
  const modules = files.read('modules.json', modulesSchema);
  const isOf = (type: string, kind: string) => type.split('.').at(-1) === kind;
  const other = modules?.findIndex(
    ({ type }) => !['Transformer', 'Pooling', 'Normalize'].some((kind) => isOf(type, kind)),
  );
  if (other !== undefined && other >= 0) {
    const message = `modules.json: ${other}.type: ${modules![other]!.type} is not supported: expected Transformer, Pooling and Normalize`;
    throw new ServingError('MODEL_FAILED', message);
  }
  const folder = modules?.find(({ type }) => isOf(type, 'Pooling'))?.path ?? '1_Pooling';
  const file = `${folder}/config.json`;
  const pooling = files.read(file, poolingSchema);
  const normalizes = modules?.some(({ type }) => isOf(type, 'Normalize'));
  return {
    pooling: (pooling && modeOf(pooling, file)) ?? byDefault('mean'),
    normalize: normalizes === undefined ? byDefault(false) : { value: normalizes, file: 'modules.json', field: 'type' },
    includePrompt: found(pooling?.include_prompt, file, 'include_prompt') ?? byDefault(true),
    dimensions: found(pooling?.word_embedding_dimension, file, 'word_embedding_dimension'),
    ...prompts,
  };
}

function modeOf(pooling: z.infer<typeof poolingSchema>, file: string): Found<PoolingMode> | undefined {
  const fields = (Object.keys(POOLING_FIELDS) as (keyof typeof POOLING_FIELDS)[]).filter((field) => pooling[field]);
  const [field, another] = fields;
  if (another !== undefined) {
    const message = `${file}: ${another}: is true beside ${field}: embeddings of several poolings are not supported`;
    throw new ServingError('MODEL_FAILED', message);
  }
  return field === undefined ? undefined : { value: POOLING_FIELDS[field], file, field };
}
