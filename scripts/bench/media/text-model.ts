import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requestBytes } from '../../../functions/cli/loadtest/http/request.ts';
import type { ModelInput } from '../bench-inputs.ts';
import { encoder } from '../encoder-graph.ts';
import { randomNumbers } from './random.ts';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
/** As many as BERT has. */
const TOKENS = 30_522;
const POSITIONS = 512;
const HIDDEN = 384;
const CONSONANTS = [...'bcdfghklmnprstvwz'];
const VOWELS = [...'aeiou'];
const ASCII = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));

/** A WordPiece vocabulary: special tokens, characters, then made-up words of two to four syllables, and a fifth of them as endings. */
function makeVocabulary(): string[] {
  const random = randomNumbers(30);
  const one = (of: readonly string[]): string => of[Math.floor(random() * of.length)]!;
  const tokens = new Set([...SPECIAL, ...ASCII, ...ASCII.map((char) => `##${char}`)]);
  while (tokens.size < TOKENS) {
    const word = Array.from({ length: 2 + Math.floor(random() * 3) }, () => one(CONSONANTS) + one(VOWELS)).join('');
    tokens.add(random() < 0.2 ? `##${word}` : word);
  }
  return [...tokens];
}

/** `tokenizer.json` as BERT's uncased models have it. */
function tokenizerFile(vocabulary: readonly string[]): object {
  const special = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
  const sequence = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
  const [cls, sep] = ['[CLS]', '[SEP]'];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => {
      const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
      return { id, content, ...flags };
    }),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [special(cls, 0), sequence('A', 0), special(sep, 0)],
      pair: [special(cls, 0), sequence('A', 0), special(sep, 0), sequence('B', 1), special(sep, 1)],
      special_tokens: Object.fromEntries(
        [cls, sep].map((id) => [id, { id, ids: [SPECIAL.indexOf(id)], tokens: [id] }]),
      ),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    },
  };
}

/** Files of a sentence-transformers export: mean pooling, L2 normalization. */
const CONFIGS = {
  'config.json': {
    architectures: ['BertModel'],
    model_type: 'bert',
    hidden_size: HIDDEN,
    max_position_embeddings: POSITIONS,
    num_hidden_layers: 6,
    pad_token_id: 0,
    vocab_size: TOKENS,
  },
  'tokenizer_config.json': { tokenizer_class: 'BertTokenizer', model_max_length: POSITIONS, do_lower_case: true },
  'modules.json': ['Transformer', 'Pooling', 'Normalize'].map((type, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? '' : `${idx}_${type}`,
    type: `sentence_transformers.models.${type}`,
  })),
  '1_Pooling/config.json': { word_embedding_dimension: HIDDEN, pooling_mode_mean_tokens: true },
};

/**
 * Writes an embedding model into a folder: an encoder of 6 layers, 384 wide, with 12 heads and random weights, and the files of its
 * export. @param files whether they are written; without them the model takes ids
 */
export function writeTextModel(folder: string, files = true): void {
  mkdirSync(folder, { recursive: true });
  const bert = { tokens: TOKENS, positions: POSITIONS };
  const bytes = encoder({ layers: 6, heads: 12, hidden: HIDDEN, bert, random: randomNumbers(6) });
  writeFileSync(join(folder, 'model.onnx'), bytes);
  if (files) writeTokenizer(folder);
}

/** Writes the files of the export beside the model. */
export function writeTokenizer(folder: string): void {
  for (const [name, content] of Object.entries({ ...CONFIGS, 'tokenizer.json': tokenizerFile(makeVocabulary()) })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), JSON.stringify(content));
  }
}

/** How many lengths of texts there are between 3 and 400 tokens. */
const LENGTHS = 64;
const [SHORTEST, LONGEST] = [3, 400];

/**
 * Texts of 3 to 400 tokens, special ones included, in a shuffled order: each length is the same factor above the last one, so that half
 * of them have fewer than 35, as sentences and search terms have. The mean is 83.
 */
export function makeTexts(): string[] {
  const random = randomNumbers(64);
  const vocabulary = makeVocabulary().slice(SPECIAL.length + 2 * ASCII.length);
  const [words, endings] = [false, true].map((wanted) => vocabulary.filter((word) => word.startsWith('##') === wanted));
  const one = (of: readonly string[]): string => of[Math.floor(random() * of.length)]!;
  const texts = Array.from({ length: LENGTHS }, (_, i) => {
    const tokens = Math.round(SHORTEST * (LONGEST / SHORTEST) ** (i / (LENGTHS - 1))) - 2;
    let text = one(words!);
    for (let made = 1; made < tokens; made++) text += random() < 0.25 ? one(endings!).slice(2) : ` ${one(words!)}`;
    return text;
  });
  return texts
    .map((text) => ({ text, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ text }) => text);
}

/** The requests of texts to a model, as text-embeddings-inference takes them. */
export function textInput(folder: string, texts: readonly string[]): ModelInput {
  const bodies = texts.map((inputs) => JSON.stringify({ inputs }));
  const body = `${folder}.ndjson`;
  writeFileSync(body, `${bodies.join('\n')}\n`);
  const path = '/embed';
  return { folder, body, lines: true, path, request: requestBytes('POST', path, bodies[0]!) };
}
