import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { TextTokenizer } from '../../functions/text/tokenizer.ts';
import { expectedOf, MODELS, readInputs, readText } from './refs.ts';

const INPUTS = readInputs();
const FILE = 'tokenizer.json';
const json = (model: string) => readText(`models/${model}/tokenizer.json`);
const load = (model: string, options = {}) =>
  TextTokenizer.load(json(model), { file: FILE, maxLength: 128, ...options });

for (const model of MODELS) {
  test(`token ids, types and lengths of every reference case of ${model} are equal to the reference`, async () => {
    const { settings, cases } = expectedOf(model);
    const tokenizer = await load(model, { maxLength: settings.max_length, specialNames: 'token' });
    const encoded = await tokenizer.encode(
      cases.map(({ id }) => INPUTS.get(id)!),
      { places: true },
    );
    assert.equal(encoded.length, cases.length);
    for (const [i, expected] of cases.entries()) {
      const got = encoded[i]!;
      assert.deepEqual([...got.ids], expected.input_ids, expected.id);
      assert.deepEqual(got.places!.tokens, expected.tokens, expected.id);
      if (expected.token_type_ids) assert.deepEqual([...got.typeIds], expected.token_type_ids, expected.id);
      assert.equal(got.untruncatedLength, expected.untruncated_length ?? expected.input_ids.length, expected.id);
    }
  });
}

test('an input has the same tokens alone as among others', async () => {
  const tokenizer = await load('reranker', { maxLength: 40 });
  const inputs = [...INPUTS.values()];
  const together = await tokenizer.encode(inputs);
  for (const [i, input] of inputs.entries()) assert.deepEqual(await tokenizer.encode([input]), [together[i]]);
});

test('an input may have a length of its own, above or below that of the tokenizer', async () => {
  const tokenizer = await load('reranker', { maxLength: 8 });
  const first = 'one two three four five six seven eight nine ten';
  const [own, few, all] = await tokenizer.encode([{ first }, { first, maxLength: 4 }, { first, maxLength: 1000 }]);
  assert.deepEqual([own!.ids.length, few!.ids.length], [8, 4]);
  assert.equal(all!.ids.length, all!.untruncatedLength);
  assert.ok(all!.ids.length > 8);
});

test('a tokenizer has the size of its vocabulary and the id of its unknown token', async () => {
  const tokenizer = await load('reranker');
  assert.deepEqual([tokenizer.vocabularySize, tokenizer.unknownId], [2400, tokenizer.idOf('[UNK]')]);
  const pieces = {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ['a', -1],
    ],
  };
  const file = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: pieces,
  };
  const unigram = await TextTokenizer.load(JSON.stringify(file), { file: FILE, maxLength: 8 });
  assert.deepEqual([unigram.vocabularySize, unigram.unknownId], [2, 0]);
});

test('no inputs give no tokens', async () => {
  assert.deepEqual(await (await load('reranker')).encode([]), []);
});

test('the name of a special token in a text is text by default, and a special token on request', async () => {
  const input = [{ first: 'a [SEP] b' }];
  const [text] = await (await load('reranker')).encode(input);
  const [token] = await (await load('reranker', { specialNames: 'token' })).encode(input);
  const sep = 3;
  assert.equal(text!.ids.filter((id) => id === sep).length, 1);
  assert.equal(token!.ids.filter((id) => id === sep).length, 2);
});

test('a special token beyond the vocabulary is text too, and leaves the ids of other added tokens as they are', async () => {
  const file = JSON.parse(json('reranker'));
  const added = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  file.added_tokens.push({ ...added, id: 2400, content: '<turn>', special: true });
  file.added_tokens.push({ ...added, id: 2401, content: '<city>', special: false });
  const tokenizer = await TextTokenizer.load(JSON.stringify(file), { file: FILE, maxLength: 128 });
  const [encoded] = await tokenizer.encode([{ first: '<turn> <city>' }]);
  assert.ok(!encoded!.ids.includes(2400));
  assert.ok(encoded!.ids.includes(2401));
  assert.equal(tokenizer.idOf('<turn>'), 2400);
  assert.equal(tokenizer.idOf('[PAD]'), 0);
  assert.equal(tokenizer.idOf('no such token'), undefined);
});

test('tokens are removed from the left where the export says so', async () => {
  const input = [{ first: 'the quick brown fox jumps over the lazy dog' }];
  const [whole] = await (await load('reranker')).encode(input);
  const [right] = await (await load('reranker', { maxLength: 8 })).encode(input);
  const [left] = await (await load('reranker', { maxLength: 8, truncationSide: 'left' })).encode(input);
  const inner = [...whole!.ids].slice(1, -1);
  assert.deepEqual([...right!.ids], [2, ...inner.slice(0, 6), 3]);
  assert.deepEqual([...left!.ids], [2, ...inner.slice(-6), 3]);
  assert.equal(left!.untruncatedLength, whole!.ids.length);
});

test('offsets count code points of the text, and the tokens there are its words', async () => {
  const { first } = INPUTS.get('ner-emoji-offsets')!;
  const [encoded] = await (await load('text-embedding-bert')).encode([{ first }], { places: true });
  const { tokens, offsets, special } = encoded!.places!;
  const characters = [...first];
  const sliceOf = (i: number) => characters.slice(offsets[2 * i], offsets[2 * i + 1]).join('');
  assert.equal(special[0], 1);
  assert.deepEqual([...offsets.slice(0, 2)], [0, 0]);
  const plain = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  for (const [i, token] of tokens.entries()) {
    if (special[i] === 0 && token !== '[UNK]') assert.equal(plain(sliceOf(i)), token.replace('##', ''));
  }
  assert.ok(tokens.some((token, i) => token.startsWith('with') && sliceOf(i) === 'with'));
});

test('lower case is made before the tokens where the export says so', async () => {
  const file = JSON.parse(json('reranker'));
  file.normalizer.lowercase = false;
  const encode = async (lowerCase: boolean) => {
    const tokenizer = await TextTokenizer.load(JSON.stringify(file), { file: FILE, maxLength: 128, lowerCase });
    return (await tokenizer.encode([{ first: 'The DOG' }, { first: 'the dog' }])).map(({ ids }) => [...ids].join());
  };
  const [lowered, lower] = await encode(true);
  assert.equal(lowered, lower);
  const [raw] = await encode(false);
  assert.notEqual(raw, lower);
});

test('half a surrogate pair is read as a replacement character', async () => {
  const tokenizer = await load('reranker');
  const [odd, even] = await tokenizer.encode([{ first: 'a \ud800 b' }, { first: 'a \ufffd b' }]);
  assert.deepEqual(odd, even);
});

test('long pairs take time in proportion to their length, not to its square', async () => {
  const tokenizer = await load('reranker', { maxLength: 16 });
  const word = 'the ';
  const [encoded] = await tokenizer.encode([{ first: word.repeat(50_000), second: word.repeat(50_001) }]);
  assert.equal(encoded!.ids.length, 16);
  assert.equal(encoded!.untruncatedLength, 100_004);
});

test('tokens are joined to text as the reference does', async () => {
  assert.equal((await load('reranker')).join(['the', 'do', '##g', '.']), 'the dog.');
});

const BROKEN: [title: string, text: string, message: RegExp][] = [
  ['no JSON', '{', /^tokenizer\.json is not JSON: /],
  ['an array', '[]', /^tokenizer\.json: expected an object/],
  ['another object', '{"version":"1.0"}', /^tokenizer\.json is not a tokenizer that this server reads: /],
  ['added tokens that are no array', '{"added_tokens":{}}', /^tokenizer\.json: added_tokens: expected an array/],
  [
    'an added token that is none',
    '{"added_tokens":[null]}',
    /^tokenizer\.json: added_tokens: expected an array of tokens/,
  ],
  [
    'an empty vocabulary',
    JSON.stringify({
      ...JSON.parse(json('reranker')),
      model: { ...JSON.parse(json('reranker')).model, vocab: {} },
      added_tokens: [],
    }),
    /^tokenizer\.json has no tokens for the text "a": /,
  ],
  [
    'a special token without ids in its template',
    json('reranker').replace(/"special_tokens": *\{/, '"special_tokens":{},"unused":{'),
    /^tokenizer\.json: post_processor\.single: expected ids of the token \[CLS\] in special_tokens/,
  ],
  [
    'the same within a sequence of processors',
    JSON.stringify({
      post_processor: {
        type: 'Sequence',
        processors: [{ type: 'TemplateProcessing', single: [], pair: [{ SpecialToken: { id: 'x', type_id: 0 } }] }],
      },
    }),
    /^tokenizer\.json: post_processor\.processors\[0\]\.pair: expected ids of the token x in special_tokens/,
  ],
  [
    'an added token whose number is not the next one',
    JSON.stringify({
      ...JSON.parse(json('reranker')),
      added_tokens: [
        {
          id: 7000,
          content: '<x>',
          single_word: false,
          lstrip: false,
          rstrip: false,
          normalized: false,
          special: false,
        },
      ],
    }),
    /^tokenizer\.json: added_tokens\[0\]\.id is 7000, and the token gets the id 2400/,
  ],
];
for (const [title, text, message] of BROKEN) {
  test(`a tokenizer.json is refused that has ${title}`, async () => {
    await assert.rejects(
      TextTokenizer.load(text, { file: FILE, maxLength: 128 }),
      (error: ServingError) =>
        error instanceof ServingError && error.code === 'MODEL_FAILED' && message.test(error.message),
    );
  });
}

test('a text that the vocabulary has no tokens for is refused by the name of the file', async () => {
  const file = JSON.parse(json('reranker'));
  file.model.unk_token = '[NONE]';
  const tokenizer = await TextTokenizer.load(JSON.stringify(file), { file: FILE, maxLength: 128 });
  await assert.rejects(
    tokenizer.encode([{ first: '\u2603' }]),
    /^ServingError: tokenizer\.json has no tokens for a text: /,
  );
});

test('a length without room for a text is refused', async () => {
  await assert.rejects(load('reranker', { maxLength: 2 }), /leaves no room for a text beside 2 special tokens/);
});
