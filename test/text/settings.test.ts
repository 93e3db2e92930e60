import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { readTextSettings, type TextChoices } from '../../functions/text/settings.ts';
import { REFS, readText } from './refs.ts';

const read = (folder: string, changed: Record<string, string> = {}, choices: TextChoices = {}) => {
  const names = globSync('**/*.json', { cwd: join(REFS, 'models', folder) });
  const texts = new Map(names.map((name) => [name, readText(`models/${folder}/${name}`)]));
  return readTextSettings(new Map([...texts, ...Object.entries(changed)]), choices);
};
const settingsOf = (files: Record<string, unknown>) =>
  readTextSettings(new Map(Object.entries(files).map(([name, value]) => [name, JSON.stringify(value)])));

test('a sentence-transformers export is read, and each value names its file and field', () => {
  const settings = read('text-embedding-bert');
  assert.deepEqual(settings.task, { value: 'embedding', file: 'modules.json', field: '' });
  assert.deepEqual(settings.modelType, { value: 'bert', file: 'config.json', field: 'model_type' });
  assert.deepEqual(settings.maxLength, { value: 96, file: 'sentence_bert_config.json', field: 'max_seq_length' });
  assert.deepEqual(settings.pooling, {
    value: 'mean',
    file: '1_Pooling/config.json',
    field: 'pooling_mode_mean_tokens',
  });
  assert.deepEqual(settings.normalize, { value: true, file: 'modules.json', field: 'type' });
  assert.deepEqual(settings.dimensions?.value, 64);
  assert.deepEqual(settings.padToken, { value: '[PAD]', file: 'special_tokens_map.json', field: 'pad_token' });
  assert.deepEqual(settings.padTokenId?.value, 0);
  assert.deepEqual(settings.lowerCase, { value: false, file: 'sentence_bert_config.json', field: 'do_lower_case' });
  assert.equal(settings.prompts, undefined);
});

test('the lowest limit of the files is the effective one, and that of tokenizer.json counts only alone', () => {
  const limits = read('text-embedding-bert').lengths.map(({ value, file }) => [file, value]);
  assert.deepEqual(limits, [
    ['sentence_bert_config.json', 96],
    ['tokenizer_config.json', 128],
    ['config.json', 128],
    ['tokenizer.json', 64],
  ]);
  const alone = settingsOf({ 'tokenizer.json': { truncation: { max_length: 64 } } });
  assert.deepEqual(alone.maxLength, { value: 64, file: 'tokenizer.json', field: 'truncation.max_length' });
  assert.deepEqual(settingsOf({}).maxLength, { value: 512, file: 'default', field: '' });
});

test('a tokenizer without a limit has that of the positions, less those that RoBERTa does not use', () => {
  const config = { model_type: 'xlm-roberta', max_position_embeddings: 514, pad_token_id: 1 };
  const settings = settingsOf({ 'config.json': config, 'tokenizer_config.json': { model_max_length: 1e30 } });
  assert.deepEqual(settings.maxLength, { value: 512, file: 'config.json', field: 'max_position_embeddings' });
});

test('a classifier has its labels by index, and softmax or sigmoid by its problem type', () => {
  const single = read('text-classifier');
  assert.equal(single.task?.value, 'classification');
  assert.deepEqual(single.labels?.value, ['negative', 'neutral', 'positive']);
  assert.deepEqual(single.activation, { value: 'softmax', file: 'config.json', field: 'id2label' });
  assert.equal(single.pooling, undefined);
  const multi = read('text-classifier', { 'config.json': readText('models/text-classifier/config.multi_label.json') });
  assert.deepEqual(multi.labels?.value, ['complaint', 'question', 'praise']);
  assert.deepEqual(multi.activation, { value: 'sigmoid', file: 'config.json', field: 'problem_type' });
});

test('a classifier without names of labels has the two that transformers leaves out', () => {
  const settings = settingsOf({ 'config.json': { architectures: ['BertForSequenceClassification'] } });
  assert.deepEqual(settings.labels, { value: ['LABEL_0', 'LABEL_1'], file: 'default', field: '' });
  assert.equal(settings.activation?.value, 'softmax');
});

test('a sequence classifier with one label ranks pairs, with the sigmoid of its logit', () => {
  const settings = read('reranker');
  assert.equal(settings.task?.value, 'reranking');
  assert.equal(settings.activation?.value, 'sigmoid');
  assert.equal(settings.maxLength.value, 128);
});

test('token classifiers, plain encoders and other models are told apart by their architecture', () => {
  const taskOf = (name: string) => settingsOf({ 'config.json': { architectures: [name] } }).task?.value;
  assert.equal(taskOf('BertForTokenClassification'), 'token-classification');
  assert.equal(taskOf('BertModel'), 'embedding');
  assert.equal(taskOf('BertForMaskedLM'), undefined);
});

test('the pooling folder is the one that modules.json names', () => {
  const modules = [
    { type: 'sentence_transformers.models.Transformer', path: '' },
    { type: 'sentence_transformers.models.Pooling', path: '2_Pool' },
  ];
  const settings = settingsOf({ 'modules.json': modules, '2_Pool/config.json': { pooling_mode_lasttoken: true } });
  assert.equal(settings.pooling?.value, 'last');
  assert.deepEqual(settings.normalize?.value, false);
});

test('prompts and their default are read, and sides of truncation and padding', () => {
  const settings = settingsOf({
    'config_sentence_transformers.json': {
      prompts: { query: 'query: ', passage: 'passage: ' },
      default_prompt_name: 'query',
    },
    'tokenizer_config.json': { padding_side: 'left', truncation_side: 'left', pad_token: { content: '<pad>' } },
  });
  assert.equal(settings.prompts?.value.passage, 'passage: ');
  assert.equal(settings.defaultPrompt?.value, 'query');
  assert.equal(settings.paddingSide.value, 'left');
  assert.equal(settings.truncationSide.value, 'left');
  assert.deepEqual(settings.padToken, { value: '<pad>', file: 'tokenizer_config.json', field: 'pad_token' });
});

const BROKEN: [title: string, files: Record<string, unknown>, message: RegExp, code?: string][] = [
  [
    'a length as a text',
    { 'tokenizer_config.json': { model_max_length: '512' } },
    /^tokenizer_config\.json: model_max_length: /,
  ],
  [
    'a length of 0',
    { 'sentence_bert_config.json': { max_seq_length: 0 } },
    /^sentence_bert_config\.json: max_seq_length: /,
  ],
  [
    'a gap in its labels',
    { 'config.json': { id2label: { 0: 'a', 2: 'b' } } },
    /^config\.json: id2label: 2 labels, and none has the index 1/,
  ],
  ['a problem type of its own', { 'config.json': { problem_type: 'both' } }, /^config\.json: problem_type: /],
  ['an array as its config', { 'config.json': [] }, /^config\.json: the document: /],
  [
    'a module that is not supported',
    { 'modules.json': [{ type: 'sentence_transformers.models.Dense', path: '2_Dense' }] },
    /^modules\.json: 0\.type: sentence_transformers\.models\.Dense is not supported/,
    'UNSUPPORTED',
  ],
  [
    'two poolings',
    {
      'modules.json': [{ type: 'sentence_transformers.models.Pooling', path: '1_Pooling' }],
      '1_Pooling/config.json': { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true },
    },
    /^1_Pooling\/config\.json: pooling_mode_mean_tokens: is true beside pooling_mode_cls_token/,
    'UNSUPPORTED',
  ],
  [
    'a pooling of which it has no settings',
    { 'modules.json': [{ type: 'sentence_transformers.models.Pooling', path: '1_Pooling' }] },
    /^modules\.json names the folder 1_Pooling, and there is no 1_Pooling\/config\.json: put it there$/,
  ],
  [
    'a default prompt that it does not have',
    { 'config_sentence_transformers.json': { prompts: {}, default_prompt_name: 'query' } },
    /^config_sentence_transformers\.json: default_prompt_name: prompts has no "query"/,
  ],
];
for (const [title, files, message, code = 'MODEL_FAILED'] of BROKEN) {
  test(`an export is refused that has ${title}`, () => {
    assert.throws(
      () => settingsOf(files),
      (error: ServingError) => error instanceof ServingError && error.code === code && message.test(error.message),
    );
  });
}

test('the values of model.json replace those of the files, and name their field', () => {
  const choices = {
    maxLength: 48,
    truncationSide: 'left',
    pooling: 'cls',
    normalize: false,
    prompts: { query: 'q: ' },
    defaultPrompt: 'query',
  } as const;
  const settings = read('text-embedding-bert', {}, choices);
  for (const [name, value] of Object.entries(choices)) {
    const found = { value, file: 'model.json', field: `input.text.${name}` };
    assert.deepEqual(settings[name as keyof typeof choices], found);
  }
  assert.equal(settings.task?.file, 'modules.json');
});

test('without config.json the task is that of model.json, or follows from a pooling', () => {
  const none = new Map<string, string>();
  assert.equal(readTextSettings(none).task, undefined);
  const { task, labels } = readTextSettings(none, { task: 'classification', labels: ['a', 'b', 'c'] });
  assert.deepEqual(task, { value: 'classification', file: 'model.json', field: 'input.text.task' });
  assert.deepEqual(labels, { value: ['a', 'b', 'c'], file: 'model.json', field: 'classes' });
  const pooled = readTextSettings(none, { pooling: 'last' });
  assert.deepEqual(pooled.task, { value: 'embedding', file: 'model.json', field: 'input.text.pooling' });
  const tokens = readTextSettings(none, { task: 'token-classification' });
  assert.deepEqual(tokens.aggregation, { value: 'simple', file: 'default', field: '' });
});

test('a length for which the model has no positions is refused, unless its positions are relative', () => {
  const lengthOf = (config: object) =>
    readTextSettings(new Map([['config.json', JSON.stringify(config)]]), { maxLength: 1024 }).maxLength.value;
  assert.throws(() => lengthOf({ model_type: 'bert', max_position_embeddings: 512 }), {
    code: 'MODEL_FAILED',
    message:
      'model.json: input.text.maxLength: is 1024, and the model has positions for 512 tokens, by config.json: max_position_embeddings',
  });
  assert.equal(lengthOf({ model_type: 'deberta-v2', max_position_embeddings: 512 }), 1024);
  assert.equal(lengthOf({ model_type: 'modernbert', max_position_embeddings: 8192 }), 1024);
});

test('the encoder of a model with a decoder embeds texts, and the whole model does not', () => {
  const taskOf = (name: string) =>
    settingsOf({ 'config.json': { architectures: [name], is_encoder_decoder: true } }).task?.value;
  assert.equal(taskOf('T5EncoderModel'), 'embedding');
  assert.equal(taskOf('T5Model'), undefined);
});

test('a file that is not JSON is refused by its name', () => {
  assert.throws(() => readTextSettings(new Map([['config.json', '{']])), /^ServingError: config\.json is not JSON: /);
});
