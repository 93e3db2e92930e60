import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tokenizer } from '@anush008/tokenizers';
import { TextTokenizer } from '../../functions/text/tokenizer.ts';

const special = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});
const NAMES = ['<s>', '<pad>', '</s>', '<unk>'];
const ADDED = NAMES.map((name, id) => special(id, name));
const VOCABULARY = ['▁', '▁a', '▁the', 'b', 'c', '<', '/', 's', '>', 'é'];
const BYTES = ['Ġ', 'a', 'b', 'c', 'Ġa', '<', '/', 's', '>', 'Ã', '©'];

/** Tokenizers of other kinds than those of the reference models, as small as they can be. */
const KINDS: Record<string, object> = {
  'XLM-R: Unigram and a template': {
    added_tokens: ADDED,
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { SpecialToken: { id: '<s>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
      ],
      pair: [
        { SpecialToken: { id: '<s>', type_id: 0 } },
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
        { Sequence: { id: 'B', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
      ],
      special_tokens: {
        '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] },
        '</s>': { id: '</s>', ids: [2], tokens: ['</s>'] },
      },
    },
    decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
    model: {
      type: 'Unigram',
      unk_id: 3,
      vocab: [...NAMES.map((name) => [name, 0]), ...VOCABULARY.map((piece, i) => [piece, -1 - i / 10])],
      byte_fallback: false,
    },
  },
  'RoBERTa: BPE of bytes and its own processing': {
    added_tokens: ADDED,
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['</s>', 2],
      cls: ['<s>', 0],
      trim_offsets: true,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...NAMES, ...BYTES].map((token, id) => [token, id])),
      merges: ['Ġ a'],
    },
  },
  'a tokenizer without special tokens around a text': {
    added_tokens: ADDED,
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries([...NAMES, ...BYTES].map((token, id) => [token, id])),
      merges: ['Ġ a'],
    },
  },
};
const INPUTS = [
  { first: 'a b' },
  { first: '' },
  { first: 'a', second: '' },
  { first: '', second: 'b c' },
  { first: 'é a <s> b', second: ' c a' },
];

for (const [kind, parts] of Object.entries(KINDS)) {
  const json = JSON.stringify({ version: '1.0', truncation: null, padding: null, ...parts });

  test(`tokens, types and places are those of the whole library, for ${kind}`, async () => {
    const tokenizer = await TextTokenizer.load(json, { file: 'tokenizer.json', maxLength: 100, specialNames: 'token' });
    const core = Tokenizer.fromString(json);
    const encoded = await tokenizer.encode(INPUTS, { places: true });
    for (const [i, { first, second }] of INPUTS.entries()) {
      const whole = await core.encode(first, second);
      const { ids, typeIds, places } = encoded[i]!;
      assert.deepEqual([...ids], whole.getIds(), `${first}|${second}`);
      assert.deepEqual([...typeIds], whole.getTypeIds(), `${first}|${second}`);
      assert.deepEqual(places!.tokens, whole.getTokens(), `${first}|${second}`);
      assert.deepEqual([...places!.offsets], whole.getOffsets().flat(), `${first}|${second}`);
    }
  });

  test(`ids of other tokens stay as they are when names of special tokens are text, for ${kind}`, async () => {
    const text = await TextTokenizer.load(json, { file: 'tokenizer.json', maxLength: 100 });
    const token = await TextTokenizer.load(json, { file: 'tokenizer.json', maxLength: 100, specialNames: 'token' });
    const plain = [{ first: 'a b' }, { first: 'é', second: 'c' }];
    assert.deepEqual(await text.encode(plain), await token.encode(plain));
    for (const [id, name] of NAMES.entries()) assert.equal(text.idOf(name), id);
  });
}
