import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { ServingError } from '../errors.ts';
import type { Aggregation } from './entities.ts';
import type { PoolingMode } from './pooling.ts';

/** A value of an export, and where it was found. */
export interface Found<T> {
  readonly value: T;
  /** The file below the export's folder; `model.json` for a value that replaces it; `default` if no file has the field. */
  readonly file: string;
  /** The field of the file, as a path: `pooling_mode_cls_token`. */
  readonly field: string;
}

/** What a model of an export is for. */
export type TextTask = 'embedding' | 'classification' | 'reranking' | 'token-classification';

/** Values that replace those of the files: `input.text` of `model.json`, by its field, and its `classes` as `labels`. */
export interface TextChoices {
  readonly task?: TextTask | undefined;
  readonly maxLength?: number | undefined;
  readonly truncationSide?: 'right' | 'left' | undefined;
  readonly lowerCase?: boolean | undefined;
  readonly pooling?: PoolingMode | undefined;
  readonly normalize?: boolean | undefined;
  readonly includePrompt?: boolean | undefined;
  readonly prompts?: Readonly<Record<string, string>> | undefined;
  readonly defaultPrompt?: string | undefined;
  readonly aggregation?: Aggregation | undefined;
  readonly labels?: readonly string[] | undefined;
}

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
  /** How tokens become entities; of token classification alone. */
  readonly aggregation: Found<Aggregation> | undefined;
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

const PROMPTS_FILE = 'config_sentence_transformers.json';
/** The length for a model whose files have none: that of sentence-transformers' and BERT's models. */
const DEFAULT_LENGTH = 512;
/** Transformers leaves its own names out when it writes a configuration. */
const DEFAULT_LABELS: readonly string[] = ['LABEL_0', 'LABEL_1'];
/** Transformers writes 10^30 where a tokenizer has no limit. */
const NO_LIMIT = 1e9;
/** Models whose position ids begin behind the id of the padding: `max_position_embeddings` counts places that no token gets. */
const POSITIONS_BEHIND_PADDING = new Set([
  'camembert',
  'data2vec-text',
  'ibert',
  'longformer',
  'luke',
  'mpnet',
  'roberta',
  'roberta-prelayernorm',
  'xlm-roberta',
  'xlm-roberta-xl',
  'xmod',
]);

z.config(en());

const count = z.int().check(z.positive());
const text = z.string();
const tokenText = z.union([
  text,
  z.pipe(
    z.looseObject({ content: text }),
    z.transform(({ content }) => content),
  ),
]);
const side = z.enum(['right', 'left']);

const configSchema = z.looseObject({
  model_type: z.nullish(text),
  architectures: z.nullish(z.array(text)),
  is_encoder_decoder: z.nullish(z.boolean()),
  max_position_embeddings: z.nullish(count),
  pad_token_id: z.nullish(z.int().check(z.nonnegative())),
  id2label: z.nullish(z.record(text.check(z.regex(/^\d+$/, 'expected the index of a label as a name')), text)),
  problem_type: z.nullish(z.enum(['regression', 'single_label_classification', 'multi_label_classification'])),
});
type Config = z.infer<typeof configSchema>;
const tokenizerConfigSchema = z.looseObject({
  model_max_length: z.nullish(z.number().check(z.positive())),
  pad_token: z.nullish(tokenText),
  padding_side: z.nullish(side),
  truncation_side: z.nullish(side),
});
const specialTokensSchema = z.looseObject({ pad_token: z.nullish(tokenText) });
const sentenceConfigSchema = z.looseObject({
  max_seq_length: z.nullish(count),
  do_lower_case: z.nullish(z.boolean()),
});
const modulesSchema = z.array(z.looseObject({ type: text, path: text })).check(z.minLength(1));
const promptsSchema = z.looseObject({
  prompts: z.nullish(z.record(text, text)),
  default_prompt_name: z.nullish(text),
});
const POOLING_FIELDS = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_max_tokens: 'max',
  pooling_mode_mean_sqrt_len_tokens: 'mean_sqrt_len',
  pooling_mode_weightedmean_tokens: 'weighted_mean',
  pooling_mode_lasttoken: 'last',
} as const satisfies Record<string, PoolingMode>;
const flag = z.nullish(z.boolean());
const poolingSchema = z.looseObject({
  word_embedding_dimension: z.nullish(count),
  include_prompt: flag,
  ...(Object.fromEntries(Object.keys(POOLING_FIELDS).map((field) => [field, flag])) as Record<
    keyof typeof POOLING_FIELDS,
    typeof flag
  >),
});
const tokenizerSchema = z.looseObject({ truncation: z.nullish(z.looseObject({ max_length: count })) });

/** Reads a file of the export once, with its schema. */
class Files {
  readonly #texts: ReadonlyMap<string, string>;

  constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts;
  }

  read<T extends z.ZodMiniType>(file: string, schema: T): z.infer<T> | undefined {
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
 *   names, and `tokenizer.json` if it is wanted for its length. A missing file is no error, unless another one names it.
 * @param choices values that replace those of the files
 * @throws ServingError that names the file, the field, and what it takes: `MODEL_FAILED` for a value that is not valid, `UNSUPPORTED`
 *   for one that this server does not do, such as a `Dense` layer after the pooling
 */
export function readTextSettings(texts: ReadonlyMap<string, string>, choices: TextChoices = {}): TextSettings {
  const chosen = new Chosen(choices);
  const files = new Files(texts);
  const config = files.read('config.json', configSchema);
  const tokenizer = files.read('tokenizer_config.json', tokenizerConfigSchema);
  const special = files.read('special_tokens_map.json', specialTokensSchema);
  const sentence = files.read('sentence_bert_config.json', sentenceConfigSchema);
  const named = chosen.of('labels') ?? labelsOf(config);
  const own = taskOf(config, named?.value.length, texts.has('modules.json'));
  const task = chosen.of('task') ?? (own?.value === 'embedding' ? own : (chosen.task() ?? own));
  const labels = named ?? (task?.value === 'classification' ? byDefault(DEFAULT_LABELS) : undefined);
  const lengths = lengthsOf(files, config, tokenizer, sentence);
  const usable = lengths.filter(({ file }) => file !== 'tokenizer.json');
  checkLength(choices.maxLength, config, lengths);
  return {
    modelType: found(config?.model_type, 'config.json', 'model_type'),
    task,
    maxLength: chosen.of('maxLength') ?? lowest(usable.length > 0 ? usable : lengths) ?? byDefault(DEFAULT_LENGTH),
    lengths,
    truncationSide:
      chosen.of('truncationSide') ??
      found(tokenizer?.truncation_side, 'tokenizer_config.json', 'truncation_side') ??
      byDefault('right'),
    paddingSide: found(tokenizer?.padding_side, 'tokenizer_config.json', 'padding_side') ?? byDefault('right'),
    padToken:
      found(special?.pad_token, 'special_tokens_map.json', 'pad_token') ??
      found(tokenizer?.pad_token, 'tokenizer_config.json', 'pad_token'),
    padTokenId: found(config?.pad_token_id, 'config.json', 'pad_token_id'),
    lowerCase:
      chosen.of('lowerCase') ??
      found(sentence?.do_lower_case, 'sentence_bert_config.json', 'do_lower_case') ??
      byDefault(false),
    labels,
    activation: activationOf(config, task?.value, labels?.value.length),
    ...embeddingOf(files, task?.value, chosen),
    aggregation: task?.value === 'token-classification' ? (chosen.of('aggregation') ?? byDefault('simple')) : undefined,
  };
}

/** The values that replace those of the files, with their place. */
class Chosen {
  readonly #choices: TextChoices;

  constructor(choices: TextChoices) {
    this.#choices = choices;
  }

  of<K extends keyof TextChoices>(name: K): Found<NonNullable<TextChoices[K]>> | undefined {
    const field = name === 'labels' ? 'classes' : `input.text.${name}`;
    return found(this.#choices[name] as NonNullable<TextChoices[K]> | undefined, 'model.json', field);
  }

  /** The task that follows from other values: only embeddings are pooled. */
  task(): Found<TextTask> | undefined {
    const place = this.of('pooling') ?? this.of('normalize');
    return place && { ...place, value: 'embedding' };
  }
}

/** Refuses a length for which the model has no positions: a run of a longer text would fail. DeBERTa's positions are relative. */
function checkLength(chosen: number | undefined, config: Config | undefined, lengths: readonly Found<number>[]): void {
  const positions = lengths.find(({ file }) => file === 'config.json');
  if (chosen === undefined || positions === undefined || chosen <= positions.value) return;
  if (config?.model_type?.startsWith('deberta')) return;
  const message = `model.json: input.text.maxLength: is ${chosen}, and the model has positions for ${positions.value} tokens, by config.json: ${positions.field}`;
  throw new ServingError('MODEL_FAILED', message);
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
  config: Config | undefined,
  tokenizer: z.infer<typeof tokenizerConfigSchema> | undefined,
  sentence: z.infer<typeof sentenceConfigSchema> | undefined,
): Found<number>[] {
  const unused = POSITIONS_BEHIND_PADDING.has(config?.model_type ?? '') ? (config?.pad_token_id ?? 0) + 1 : 0;
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

function labelsOf(config: Config | undefined): Found<readonly string[]> | undefined {
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
  config: Config | undefined,
  labels: number | undefined,
  isSentenceModel: boolean,
): Found<TextTask> | undefined {
  if (isSentenceModel) return { value: 'embedding', file: 'modules.json', field: '' };
  const name = config?.architectures?.[0];
  if (name === undefined) return undefined;
  // A decoder needs more than the tokens of a text.
  if (config?.is_encoder_decoder === true && !name.endsWith('EncoderModel')) return undefined;
  const from = <T extends TextTask>(value: T) => ({ value, file: 'config.json', field: 'architectures.0' });
  if (name.endsWith('ForTokenClassification')) return from('token-classification');
  if (name.endsWith('ForSequenceClassification')) return from(labels === 1 ? 'reranking' : 'classification');
  return name.endsWith('Model') ? from('embedding') : undefined;
}

/** As transformers' pipeline chooses it: https://huggingface.co/docs/transformers/main_classes/pipelines, `function_to_apply`. */
function activationOf(
  config: Config | undefined,
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

function embeddingOf(files: Files, task: TextTask | undefined, chosen: Chosen): EmbeddingSettings {
  const prompting = files.read(PROMPTS_FILE, promptsSchema);
  const prompts = {
    prompts: chosen.of('prompts') ?? found(prompting?.prompts, PROMPTS_FILE, 'prompts'),
    defaultPrompt:
      chosen.of('defaultPrompt') ?? found(prompting?.default_prompt_name, PROMPTS_FILE, 'default_prompt_name'),
  };
  const { defaultPrompt: name } = prompts;
  if (name !== undefined && !Object.hasOwn(prompts.prompts?.value ?? {}, name.value)) {
    const message = `${name.file}: ${name.field}: prompts has no "${name.value}"`;
    throw new ServingError('MODEL_FAILED', message);
  }
  if (task !== 'embedding') {
    return { pooling: undefined, normalize: undefined, includePrompt: undefined, dimensions: undefined, ...prompts };
  }
  const { file, pooling, normalizes } = readModules(files);
  return {
    pooling: chosen.of('pooling') ?? (pooling && modeOf(pooling, file)) ?? byDefault('mean'),
    normalize: chosen.of('normalize') ?? found(normalizes, 'modules.json', 'type') ?? byDefault(false),
    includePrompt:
      chosen.of('includePrompt') ?? found(pooling?.include_prompt, file, 'include_prompt') ?? byDefault(true),
    dimensions: found(pooling?.word_embedding_dimension, file, 'word_embedding_dimension'),
    ...prompts,
  };
}

/** What sentence-transformers does with the model's output, by `modules.json`. */
function readModules(files: Files): {
  file: string;
  pooling: z.infer<typeof poolingSchema> | undefined;
  normalizes: boolean | undefined;
} {
  const modules = files.read('modules.json', modulesSchema);
  const isOf = (type: string, kind: string) => type.split('.').at(-1) === kind;
  const other = modules?.findIndex(
    ({ type }) => !['Transformer', 'Pooling', 'Normalize'].some((kind) => isOf(type, kind)),
  );
  if (other !== undefined && other >= 0) {
    const message = `modules.json: ${other}.type: ${modules![other]!.type} is not supported: expected Transformer, Pooling and Normalize`;
    throw new ServingError('UNSUPPORTED', message);
  }
  const folder = modules?.find(({ type }) => isOf(type, 'Pooling'))?.path;
  const file = `${folder ?? '1_Pooling'}/config.json`;
  const pooling = files.read(file, poolingSchema);
  if (folder !== undefined && pooling === undefined) {
    throw new ServingError(
      'MODEL_FAILED',
      `modules.json names the folder ${folder}, and there is no ${file}: put it there`,
    );
  }
  return { file, pooling, normalizes: modules?.some(({ type }) => isOf(type, 'Normalize')) };
}

function modeOf(pooling: z.infer<typeof poolingSchema>, file: string): Found<PoolingMode> | undefined {
  const fields = (Object.keys(POOLING_FIELDS) as (keyof typeof POOLING_FIELDS)[]).filter((field) => pooling[field]);
  const [field, another] = fields;
  if (another !== undefined) {
    const message = `${file}: ${another}: is true beside ${field}: embeddings of several poolings are not supported`;
    throw new ServingError('UNSUPPORTED', message);
  }
  return field === undefined ? undefined : { value: POOLING_FIELDS[field], file, field };
}
