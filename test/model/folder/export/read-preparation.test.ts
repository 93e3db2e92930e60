import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ServingError } from '../../../../functions/errors.ts';
import { describePreparation } from '../../../../functions/model/folder/export/describe.ts';
import { readPreparation } from '../../../../functions/model/folder/export/read-preparation.ts';
import { parseManifest } from '../../../../functions/model/folder/manifest.ts';

const REFS = join(import.meta.dirname, '../../../assets/refs/models');
const HEAD = '{"version":"1.0","truncation":{"direction":"Right","max_length":64},"padding":null,"added_tokens":[';
const TOKENIZER = { path: '/m/tokenizer.json', place: 'gs://b/m/tokenizer.json', stamp: '9-1', head: HEAD };

/** Reads the files given, with `tokenizer.json` if `head` is, and the `model.json` given. */
function read(files: Record<string, object | string>, manifest: object = {}, head?: string) {
  const texts = Object.entries(files).map(([path, value]) => [path, textOf(value)] as const);
  const { input, classes } = parseManifest(JSON.stringify(manifest), 'model.json');
  const tokenizer = head === undefined ? undefined : { ...TOKENIZER, head };
  return readPreparation({ input, classes, texts: new Map(texts), tokenizer });
}
const textOf = (value: object | string): string => (typeof value === 'string' ? value : JSON.stringify(value));
const ref = (model: string, file: string): string => readFileSync(join(REFS, model, file), 'utf8');

const BERT = { model_type: 'bert', architectures: ['BertModel'] };
const PICTURES = { image_processor_type: 'ViTImageProcessor', size: 224, image_mean: 0.5, image_std: 0.5 };
const configOf = (architecture: string) => ({ 'config.json': { architectures: [architecture] } });
const preprocessor = { 'preprocessor_config.json': PICTURES };

/** `[what lies there, the files, whether tokenizer.json does, model.json, what callers send]`. */
const RULES: [title: string, files: Record<string, object>, tokenizer: boolean, manifest: object, kind?: string][] = [
  ['nothing', {}, false, {}],
  ['a tokenizer and an encoder', configOf('BertModel'), true, {}, 'text'],
  ['a tokenizer and a classifier', configOf('BertForSequenceClassification'), true, {}, 'text'],
  ['a tokenizer and a model for token classification', configOf('BertForTokenClassification'), true, {}, 'text'],
  ['a tokenizer and a model for masked tokens', configOf('BertForMaskedLM'), true, {}],
  [
    'a tokenizer and a model for masked tokens, with input.text',
    configOf('BertForMaskedLM'),
    true,
    { text: {} },
    'text',
  ],
  ['a tokenizer alone', {}, true, {}],
  ['a tokenizer alone, with input.text', {}, true, { text: { task: 'embedding' } }, 'text'],
  ['an encoder of texts, with input.tensors', configOf('BertModel'), true, { tensors: true }],
  ['a config.json alone', configOf('BertModel'), false, {}],
  ['an image processor', preprocessor, false, {}, 'picture'],
  ['an image processor, with input.tensors', preprocessor, false, { tensors: true }],
  ['a processor of sound', { 'preprocessor_config.json': { sampling_rate: 16000 } }, false, {}],
  ['an image processor for one channel', { ...preprocessor, 'config.json': { num_channels: 1 } }, false, {}],
  ['nothing, with input.image', {}, false, { image: { size: 8 } }, 'picture'],
  ['a tokenizer and an image processor', { ...preprocessor, 'config.json': BERT }, true, {}],
  [
    'a tokenizer and an image processor, with input.text',
    { ...preprocessor, 'config.json': BERT },
    true,
    { text: {} },
    'text',
  ],
  [
    'a tokenizer and an image processor, with input.image',
    { ...preprocessor, 'config.json': BERT },
    true,
    { image: {} },
    'picture',
  ],
  [
    'an encoder with a layer after its pooling',
    { 'config.json': BERT, 'modules.json': [{ type: 'sentence_transformers.models.Dense', path: '2_Dense' }] },
    true,
    {},
  ],
];

for (const [title, files, tokenizer, input, kind] of RULES) {
  test(`beside the model is ${title}: callers send ${kind ?? 'tensor'}s`, () => {
    const { preparation, note } = read(files, { input }, tokenizer ? HEAD : undefined);
    assert.equal(preparation?.kind, kind);
    const isOdd = kind === undefined && !('tensors' in input) && (tokenizer || 'preprocessor_config.json' in files);
    assert.equal(note !== undefined, isOdd, 'a line for the log says why texts or pictures are not taken');
    if (note !== undefined) assert.match(note, /^callers send tensors: /);
  });
}

test('a tokenizer is named by its path and its display name, and names of special tokens are text unless model.json says token', () => {
  const { preparation } = read({ 'config.json': BERT }, {}, HEAD);
  assert.ok(preparation?.kind === 'text');
  const { settings, ...rest } = preparation;
  assert.deepEqual(rest, {
    kind: 'text',
    tokenizer: TOKENIZER.path,
    place: TOKENIZER.place,
    stamp: TOKENIZER.stamp,
    specialNames: 'text',
  });
  assert.deepEqual(settings.lengths, [{ value: 64, file: 'tokenizer.json', field: 'truncation.max_length' }]);
  const chosen = read({}, { input: { text: { specialTokens: 'token' } } }, HEAD).preparation;
  assert.equal(chosen?.kind === 'text' && chosen.specialNames, 'token');
});

test('the truncation of tokenizer.json is read from its first bytes, before the vocabulary', () => {
  const lengthOf = (head: string) => {
    const { preparation } = read({ 'config.json': BERT }, {}, head);
    assert.ok(preparation?.kind === 'text');
    return preparation.settings.maxLength.value;
  };
  assert.equal(lengthOf(ref('text-embedding-bert', 'tokenizer.json').slice(0, 4096)), 64);
  assert.equal(lengthOf('\ufeff{ "version": "1.0",\n "truncation" : {"max_length": 32,'), 512, 'cut off');
  assert.equal(lengthOf('{"version":"1.0","truncation":null,"padding":{"max_length":9}'), 512);
  assert.equal(lengthOf('{"added_tokens":[{"content":"\\"truncation\\":{"}],"truncation":{"max_length":7}}'), 512);
});

test('the labels of a classifier are its classes, unless model.json has some', () => {
  const config = ref('text-classifier', 'config.json');
  const classes = ['negative', 'neutral', 'positive'];
  assert.deepEqual(read({ 'config.json': config }, {}, HEAD).classes, classes);
  assert.deepEqual(read({ 'config.json': config }, { classes: ['a', 'b', 'c'] }, HEAD).classes, ['a', 'b', 'c']);
  const { preparation } = read({ 'config.json': config }, { classes: ['a', 'b', 'c'] }, HEAD);
  assert.deepEqual(preparation?.kind === 'text' && preparation.settings.labels?.file, 'model.json');
  assert.equal(read({ 'config.json': ref('reranker', 'config.json') }, {}, HEAD).classes, undefined);
  assert.equal(read({ 'config.json': BERT }, {}, HEAD).classes, undefined);
  const pictures = { ...preprocessor, 'config.json': ref('image-classifier-vit', 'config.json') };
  assert.equal(read(pictures).classes?.[6], 'table lamp, reading lamp');
});

test('layout and background of a picture are those of model.json', () => {
  const image = { layout: 'NHWC', background: [255, 0, 9] };
  const { preparation } = read(preprocessor, { input: { image } });
  assert.ok(preparation?.kind === 'picture');
  assert.deepEqual([preparation.layout, preparation.background], ['NHWC', [255, 0, 9]]);
});

const FAILS: [title: string, run: () => unknown, message: RegExp][] = [
  [
    'input.text without a tokenizer',
    () => read({}, { input: { text: {} } }),
    /^model\.json: input\.text needs tokenizer\.json, which is not beside the model: put it there: AutoTokenizer/,
  ],
  [
    'a layer after the pooling, with input.text',
    () => read({ 'modules.json': [{ type: 'a.Dense', path: '' }] }, { input: { text: {} } }, HEAD),
    /^modules\.json: 0\.type: a\.Dense is not supported/,
  ],
  [
    'a wrong value of an export, without input.text',
    () => read({ ...configOf('BertModel'), 'tokenizer_config.json': { model_max_length: -1 } }, {}, HEAD),
    /^tokenizer_config\.json: model_max_length: .*; "input": \{"tensors": true\} in model\.json has callers send tensors$/,
  ],
  [
    'a config.json of a million arrays',
    () => read({ 'config.json': '['.repeat(2 ** 21) + ']'.repeat(2 ** 21) }, {}, HEAD),
    /^config\.json: the document: Invalid input: expected object, received array/,
  ],
  [
    'labels that are a million arrays deep',
    () => read({ 'config.json': `{"id2label":{"0":${'['.repeat(2 ** 20)}${']'.repeat(2 ** 20)}}}` }, {}, HEAD),
    /^config\.json: id2label\.0: /,
  ],
  [
    'a config.json that is cut off',
    () => read({ 'config.json': '{"a":'.repeat(500_000) }, {}, HEAD),
    /^config\.json is not JSON: /,
  ],
];

for (const [title, run, message] of FAILS) {
  test(`the model fails at ${title}, and the error names the file`, () => {
    assert.throws(run, (error: ServingError) => error.code === 'MODEL_FAILED' && message.test(error.message));
  });
}

test('what was understood is described with the file and field of each value', () => {
  const files = ['config.json', 'modules.json', '1_Pooling/config.json', 'sentence_bert_config.json'];
  const texts = Object.fromEntries(files.map((file) => [file, ref('text-embedding-bert', file)]));
  const prompts = { query: 'q: ' };
  const { preparation } = read(texts, { input: { text: { prompts } } }, HEAD);
  assert.deepEqual(describePreparation(preparation!), {
    kind: 'text',
    values: {
      task: { value: 'embedding', from: 'modules.json' },
      max_length: { value: 96, from: 'sentence_bert_config.json: max_seq_length' },
      truncation_side: { value: 'right', from: 'default' },
      pooling: { value: 'mean', from: '1_Pooling/config.json: pooling_mode_mean_tokens' },
      normalize: { value: true, from: 'modules.json: type' },
      dimensions: { value: 64, from: '1_Pooling/config.json: word_embedding_dimension' },
      prompts: { value: ['query'], from: 'model.json: input.text.prompts' },
    },
  });
  const pictures = { ...preprocessor, 'config.json': ref('image-classifier-vit', 'config.json') };
  const picture = read(pictures, { input: { image: { size: 64, resize: 'longest', std: [1, 2, 3] } } }).preparation!;
  assert.deepEqual(describePreparation(picture).values, {
    resize: { value: { kind: 'longest', edge: 64 }, from: 'model.json: input.image.size' },
    filter: { value: 'bilinear', from: 'default' },
    pad: { value: { width: 64, height: 64 }, from: 'model.json: input.image.size' },
    scale: { value: 1 / 255, from: 'default' },
    mean: { value: [0.5, 0.5, 0.5], from: 'preprocessor_config.json: image_mean' },
    std: { value: [1, 2, 3], from: 'model.json: input.image.std' },
    order: { value: 'RGB', from: 'default' },
    labels: { value: 10, from: 'config.json: id2label' },
  });
});

/** `[input of model.json, the message]`. */
const WRONG_FIELDS: [input: object, message: RegExp][] = [
  [{ text: true }, /input\.text: Invalid input: expected object/],
  [{ text: { max_length: 9 } }, /input\.text: Unrecognized key: "max_length"/],
  [{ text: { maxLength: 1 } }, /input\.text\.maxLength: Too small/],
  [{ text: { maxLength: 1.5 } }, /input\.text\.maxLength: /],
  [{ text: { maxLength: 2 ** 20 + 1 } }, /input\.text\.maxLength: Too big/],
  [
    { text: { truncationSide: 'middle' } },
    /input\.text\.truncationSide: Invalid option: expected one of "right"\|"left"/,
  ],
  [{ text: { pooling: 'median' } }, /input\.text\.pooling: Invalid option/],
  [{ text: { normalize: 'yes' } }, /input\.text\.normalize: /],
  [{ text: { task: 'translation' } }, /input\.text\.task: Invalid option/],
  [{ text: { specialTokens: 'both' } }, /input\.text\.specialTokens: /],
  [{ text: { aggregation: 'most' } }, /input\.text\.aggregation: /],
  [{ text: { prompts: { query: 7 } } }, /input\.text\.prompts\.query: /],
  [{ text: { prompts: { query: 'x'.repeat(16_385) } } }, /input\.text\.prompts\.query: Too big/],
  [
    { text: { prompts: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`p${i}`, ''])) } },
    /input\.text\.prompts: expected at most 256 prompts/,
  ],
  [{ text: { defaultPrompt: '' } }, /input\.text\.defaultPrompt: Too small/],
  [{ image: { size: 0 } }, /input\.image\.size: Too small/],
  [{ image: { size: 16_385 } }, /input\.image\.size: Too big/],
  [{ image: { width: 8 } }, /input\.image\.width: expected width and height together/],
  [{ image: { width: 8, height: 8, size: 8 } }, /input\.image\.size: expected either size, or width and height/],
  [{ image: { resize: 'exact' } }, /input\.image\.resize: is for size, which is missing/],
  [{ image: { size: 8, resize: 'fit' } }, /input\.image\.resize: Invalid option/],
  [{ image: { crop: '224' } }, /input\.image\.crop: expected a number of pixels, or an object with width and height/],
  [{ image: { filter: 'cubic' } }, /input\.image\.filter: Invalid option/],
  [{ image: { mean: [0.5, 0.5] } }, /input\.image\.mean: expected a number, or 3 numbers: red, green, blue/],
  [{ image: { mean: 'imagenet' } }, /input\.image\.mean: expected a number, or 3 numbers: red, green, blue/],
  [{ image: { std: [1, 1, 0] } }, /input\.image\.std\.2: Too small: expected number to be >0/],
  [{ image: { scale: 0 } }, /input\.image\.scale: Too small/],
  [{ image: { order: 'GBR' } }, /input\.image\.order: /],
  [{ image: { layout: 'CHW' } }, /input\.image\.layout: /],
  [{ image: { background: [0, 0, 256] } }, /input\.image\.background\.2: Too big/],
  [{ image: { background: [0, 0] } }, /input\.image\.background: expected 3 numbers of 0 to 255/],
  [{ tensors: false }, /input\.tensors: /],
  [{ text: {}, image: { size: 8 } }, /input: expected one of tensors, text and image/],
];

for (const [input, message] of WRONG_FIELDS) {
  test(`model.json is refused with ${JSON.stringify(input).slice(0, 80)}: the error names the file and the field`, () => {
    const text = JSON.stringify({ input });
    assert.throws(
      () => parseManifest(text, '/m/model.json'),
      (error: ServingError) => {
        assert.equal(error.code, 'MODEL_FAILED');
        assert.match(error.message, /^\/m\/model\.json: /);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}
