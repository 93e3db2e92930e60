import type { Feeds } from '../../functions/engine/batch-rows.ts';
import type { Cancellation, Outcome } from '../../functions/engine/batcher.ts';
import type { Preparation } from '../../functions/engine/prepared/preparation.ts';
import { ServingError } from '../../functions/errors.ts';
import type { PreprocessOptions } from '../../functions/preprocess/preprocessor.ts';
import type { TokenizedText } from '../../functions/preprocess/process/text-frames.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { readTextSettings, type TextTask } from '../../functions/text/settings.ts';
import { type GenerationStub, stubGeneration, tensorSpec } from './generation-stub.ts';

const ARCHITECTURES: Readonly<Record<TextTask, string>> = {
  embedding: 'BertModel',
  classification: 'BertForSequenceClassification',
  reranking: 'BertForSequenceClassification',
  'token-classification': 'BertForTokenClassification',
};
const LABELS: Partial<Record<TextTask, Record<string, string>>> = {
  classification: { 0: 'bad', 1: 'fair', 2: 'good' },
  reranking: { 0: 'LABEL_0' },
};
const NORMALIZING: readonly [file: string, text: string][] = [
  [
    'modules.json',
    '[{"type":"models.Transformer","path":""},{"type":"models.Pooling","path":"1_Pooling"},{"type":"models.Normalize","path":"2"}]',
  ],
  ['1_Pooling/config.json', '{"pooling_mode_mean_tokens":true}'],
];
const MORE = [tensorSpec('tokens', 'int32', -1), tensorSpec('truncated', 'bool', -1)];
/** Tokens that the model takes; a token is a word. */
export const MAX_TOKENS = 8;

export interface TextStub extends GenerationStub {
  /** The options of each call of `predict`, with the rows of its feeds. */
  readonly calls: { rows: number; text: PreprocessOptions['text'] }[];
  /** The texts of each call of `tokenize`. */
  readonly tokenized: (readonly string[])[];
}

export interface TextStubOptions {
  readonly task?: TextTask;
  /** Whether the model's files say that embeddings are normalized. Default: false. */
  readonly normalizes?: boolean;
  /** In the place of a row's outcome: of the row with this text. */
  readonly failing?: string;
  readonly beforeRun?: (terms: Cancellation) => Promise<void>;
}

/**
 * A model of texts without processes, for the tests of routes. The embedding of a text is [its characters, its words, 0, 2]; the logits
 * of a text are [-1, its words, 1], and that of a pair is the difference of the characters. The first token id counts as the
 * characters.
 */
export function stubTexts(options: TextStubOptions = {}): TextStub {
  const { task = 'embedding', failing } = options;
  const calls: TextStub['calls'] = [];
  const inputs = [tensorSpec('text', 'string', -1)];
  if (task === 'reranking') inputs.push(tensorSpec('text_pair', 'string', -1));
  const output =
    task === 'embedding'
      ? tensorSpec('embedding', 'float32', -1, 4)
      : tensorSpec('logits', 'float32', -1, task === 'reranking' ? 1 : 3);
  const stub = stubGeneration({
    signature: { inputs, outputs: [output, ...MORE] },
    manifest: LABELS[task] === undefined ? {} : { classes: Object.values(LABELS[task]!) },
    async predict(feeds, terms, given) {
      const { text } = (given ?? {}) as PreprocessOptions;
      calls.push({ rows: feeds.rows, text });
      await options.beforeRun?.(terms);
      // As the batcher does.
      if (terms.cancelled) return [{ rows: feeds.rows, error: new ServingError('CLIENT_GONE', 'the client left') }];
      return run(
        feeds,
        output.name === 'embedding' ? embeddingOf : task === 'reranking' ? pairOf : logitsOf,
        failing,
        text,
      );
    },
  });
  const texts = new Map([
    [
      'config.json',
      JSON.stringify({
        architectures: [ARCHITECTURES[task]],
        id2label: LABELS[task],
        max_position_embeddings: MAX_TOKENS,
      }),
    ],
    ...(options.normalizes === true ? NORMALIZING : []),
  ]);
  const preparation: Preparation = {
    kind: 'text',
    settings: readTextSettings(texts),
    tokenizer: '',
    place: 'tokenizer.json',
    specialNames: 'text',
  };
  const tokenized: (readonly string[])[] = [];
  const tokenize = async (texts: readonly string[]): Promise<TokenizedText[]> => {
    tokenized.push(texts);
    return texts.map(tokensOf);
  };
  Object.assign(stub.live, { preparation, tokenize });
  Object.assign(stub.repository, { isMain: (name: string) => name === 'm' });
  return { ...stub, calls, tokenized };
}

/** A token for each word, between two special ones. */
function tokensOf(text: string): TokenizedText {
  const words = text.split(' ');
  let at = 0;
  const places = words.map((word): [number, number] => {
    const start = at;
    at += Array.from(word).length + 1;
    return [start, at - 1];
  });
  return {
    ids: [1, ...words.map((_, i) => 10 + i), 2],
    tokens: ['[CLS]', ...words.map((word) => word.toLowerCase()), '[SEP]'],
    offsets: [[0, 0], ...places, [0, 0]],
    special: [true, ...words.map(() => false), true],
  };
}

const wordsOf = (text: string): number => text.split(' ').length;
type OutputOf = (texts: readonly string[]) => readonly number[];
const embeddingOf: OutputOf = ([text]) => [text!.length, wordsOf(text!), 0, 2];
const logitsOf: OutputOf = ([text]) => [-1, wordsOf(text!), 1];
const pairOf: OutputOf = ([first, second]) => [first!.length - second!.length];

function run(
  { tensors, rows }: Feeds,
  outputOf: OutputOf,
  failing: string | undefined,
  options: PreprocessOptions['text'],
): Outcome[] {
  const all = Array.from({ length: rows }, (_, row) => tensors.map((tensor) => textAt(tensor, row)));
  const words = all.map(([first]) => wordsOf(first!));
  const values = all.map(outputOf);
  // As of a shared run: each row is one of the outputs.
  const outputs: Tensor[] = [
    { dtype: 'float32', dims: [rows, values[0]!.length], data: Float32Array.from(values.flat()) },
    { dtype: 'int32', dims: [rows], data: Int32Array.from(words, (count) => Math.min(count, MAX_TOKENS)) },
    { dtype: 'bool', dims: [rows], data: Uint8Array.from(words, (count) => (count > MAX_TOKENS ? 1 : 0)) },
  ];
  return all.map((texts, row): Outcome => {
    if (texts.includes(failing ?? '\0')) return refused('the text is not liked');
    const count = words[row]!;
    if (count <= MAX_TOKENS || options?.truncate !== false) return { rows: 1, outputs, first: row };
    return refused(`the text has ${count} tokens: expected at most 8`);
  });
}

const refused = (message: string): Outcome => ({ rows: 1, error: new ServingError('INVALID_INPUT', message) });

/** A text; of token ids, one with as many words, and as many characters as the first id. */
function textAt({ dims, data, dtype }: Tensor, row: number): string {
  if (dtype === 'string') return data[row] as string;
  const ids = Array.from((data as Int32Array).subarray(row * dims[1]!, (row + 1) * dims[1]!)).filter((id) => id !== -1);
  const spaces = ids.length - 1;
  return 'a'.repeat(Math.max(0, Math.min(ids[0]!, 1000) - spaces)) + ' '.repeat(spaces);
}
