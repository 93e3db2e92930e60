import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Aggregation, findEntities } from '../../functions/text/entities.ts';
import { type EncodedText, TextTokenizer } from '../../functions/text/tokenizer.ts';
import { readInputs, readText } from './refs.ts';

const LABELS = ['O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC'];

const tokenizer = await TextTokenizer.load(readText('models/text-embedding-bert/tokenizer.json'), {
  file: 'tokenizer.json',
  maxLength: 128,
});

/** The tokens of a text, by hand: `[token, start, end]`; `[CLS]` and `[SEP]` have no place. */
function tokensOf(...tokens: [token: string, start: number, end: number][]): Required<EncodedText> {
  const special = tokens.map(([token]) => (/^\[(CLS|SEP)\]$/.test(token) ? 1 : 0));
  return {
    ids: Int32Array.from(tokens, ([token], i) => (token === '[UNK]' ? 1 : 10 + i)),
    typeIds: new Uint8Array(tokens.length),
    untruncatedLength: tokens.length,
    places: {
      tokens: tokens.map(([token]) => token),
      offsets: Int32Array.from(tokens.flatMap(([, start, end]) => [start, end])),
      special: Uint8Array.from(special),
    },
  };
}

/** Scores of each token: what is given for the labels, 0 for the others. */
const scoresOf = (...rows: Record<string, number>[]) =>
  Float32Array.from(rows.flatMap((row) => LABELS.map((label) => row[label] ?? 0)));

const find = (
  aggregation: Aggregation,
  text: string,
  tokens: Required<EncodedText>,
  scores: Float32Array,
  options = {},
) =>
  findEntities(text, tokens, scores, {
    aggregation,
    labels: LABELS,
    continuingPrefix: '##',
    unknownId: 1,
    join: (parts) => tokenizer.join(parts),
    ...options,
  }).map(({ score, ...entity }) => ({ ...entity, score: Math.round(score * 1000) / 1000 }));

const TEXT = 'Maria Lopez went';
const TOKENS = tokensOf(
  ['[CLS]', 0, 0],
  ['maria', 0, 5],
  ['lo', 6, 8],
  ['##pez', 8, 11],
  ['went', 12, 16],
  ['[SEP]', 0, 0],
);
/** The two tokens of Lopez disagree: the first says PER by 0.5, the second LOC by 0.8. */
const SCORES = scoresOf(
  { O: 1 },
  { 'B-PER': 0.9, O: 0.1 },
  { 'I-PER': 0.5, 'B-LOC': 0.3, O: 0.2 },
  { 'B-LOC': 0.8, 'I-PER': 0.2 },
  { O: 0.9, 'B-PER': 0.1 },
  { O: 1 },
);

test('none gives each token with its own label, and leaves O and special tokens out', () => {
  assert.deepEqual(find('none', TEXT, TOKENS, SCORES), [
    { label: 'B-PER', word: 'maria', start: 0, end: 5, score: 0.9 },
    { label: 'I-PER', word: 'lo', start: 6, end: 8, score: 0.5 },
    { label: 'B-LOC', word: '##pez', start: 8, end: 11, score: 0.8 },
  ]);
});

test('simple joins neighbours with the same label, and may cut a word', () => {
  assert.deepEqual(find('simple', TEXT, TOKENS, SCORES), [
    { label: 'PER', word: 'maria lo', start: 0, end: 8, score: 0.7 },
    { label: 'LOC', word: '##pez', start: 8, end: 11, score: 0.8 },
  ]);
});

test('first gives a word the label of its first token', () => {
  assert.deepEqual(find('first', TEXT, TOKENS, SCORES), [
    { label: 'PER', word: 'maria lopez', start: 0, end: 11, score: 0.7 },
  ]);
});

test('average gives a word the label of the highest mean', () => {
  assert.deepEqual(find('average', TEXT, TOKENS, SCORES), [
    { label: 'PER', word: 'maria', start: 0, end: 5, score: 0.9 },
    { label: 'LOC', word: 'lopez', start: 6, end: 11, score: 0.55 },
  ]);
});

test('max gives a word the label of its surest token', () => {
  assert.deepEqual(find('max', TEXT, TOKENS, SCORES), [
    { label: 'PER', word: 'maria', start: 0, end: 5, score: 0.9 },
    { label: 'LOC', word: 'lopez', start: 6, end: 11, score: 0.8 },
  ]);
});

test('an entity that begins with B- is not joined to the one before it', () => {
  const scores = scoresOf({ O: 1 }, { 'B-PER': 1 }, { 'B-PER': 1 }, { 'I-PER': 1 }, { O: 1 }, { O: 1 });
  assert.deepEqual(
    find('simple', TEXT, TOKENS, scores).map(({ start, end }) => [start, end]),
    [
      [0, 5],
      [6, 11],
    ],
  );
});

test('labels to leave out are those of the entities', () => {
  const kept = find('average', TEXT, TOKENS, SCORES, { ignored: ['PER'] });
  assert.deepEqual(
    kept.map(({ label }) => label),
    ['LOC', 'O'],
  );
});

test('without a mark in the vocabulary a word ends at a space', () => {
  const text = 'Ana López';
  const tokens = tokensOf(['▁Ana', 0, 3], ['▁Ló', 3, 6], ['pez', 6, 9]);
  const scores = scoresOf({ 'B-PER': 1 }, { 'B-LOC': 1 }, { 'I-PER': 1 });
  const words = find('first', text, tokens, scores, { continuingPrefix: undefined });
  assert.deepEqual(
    words.map(({ label, start, end }) => [label, start, end]),
    [
      ['PER', 0, 3],
      ['LOC', 3, 9],
    ],
  );
});

test('an unknown token is a word of its own, with the text as it is', () => {
  const tokens = tokensOf(['maria', 0, 5], ['[UNK]', 6, 8]);
  const [, entity] = find('first', 'maria 東京', tokens, scoresOf({ 'B-PER': 1 }, { 'B-LOC': 1 }));
  assert.deepEqual(entity, { label: 'LOC', word: '東京', start: 6, end: 8, score: 1 });
});

test('a text without tokens has no entities, in any way of aggregation', () => {
  const tokens = tokensOf(['[CLS]', 0, 0], ['[SEP]', 0, 0]);
  for (const aggregation of ['none', 'simple', 'first', 'average', 'max'] as const) {
    assert.deepEqual(find(aggregation, '', tokens, scoresOf({ 'B-PER': 1 }, { 'B-PER': 1 })), []);
  }
});

test('scores that do not fit the labels are refused', () => {
  assert.throws(
    () => find('simple', TEXT, TOKENS, SCORES.subarray(6)),
    /^ServingError: the model gives 4 scores a token, and/,
  );
});

test('scores that are no numbers have a label', () => {
  const [entity] = find('simple', 'maria', tokensOf(['maria', 0, 5]), new Float32Array(5).fill(Number.NaN), {
    ignored: [],
  });
  assert.equal(entity?.label, 'O');
});

test('places of entities count code points behind emoji, for every word of the reference text', async () => {
  const { first: text } = readInputs().get('ner-emoji-offsets')!;
  const [encoded] = await tokenizer.encode([{ first: text }], { places: true });
  const scores = scoresOf(...Array.from(encoded!.ids, () => ({ 'B-LOC': 1 })));
  const words = findEntities(text, encoded as Required<EncodedText>, scores, {
    aggregation: 'first',
    labels: LABELS,
    continuingPrefix: tokenizer.continuingPrefix,
    unknownId: tokenizer.idOf('[UNK]'),
    join: (parts) => tokenizer.join(parts),
  });
  const characters = [...text];
  const slices = words.map(({ start, end }) => characters.slice(start, end).join(''));
  for (const name of ['Zoë', 'from', 'São', 'Paulo', 'visited', 'with', 'Ana', 'yesterday']) {
    assert.ok(slices.includes(name), `${name} in ${slices.join('|')}`);
  }
});
