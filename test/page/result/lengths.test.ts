import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lengthsOf } from '../../../functions/page/result/lengths.ts';

const text = { preparation: { kind: 'text' } } as const;
const row = (tokens: number, truncated = false) => ({ outputs: { tokens, truncated } });

test('the tokens of one text, of two and of many are told', () => {
  assert.equal(lengthsOf(text, [row(6)])?.words, '6 tokens');
  assert.equal(lengthsOf(text, [row(6), row(8)])?.words, '6 and 8 tokens');
  assert.equal(lengthsOf(text, [row(6), row(1800), row(3)])?.words, '3 to 1,800 tokens');
  assert.equal(lengthsOf(text, [row(6)])?.isCut, false);
});

test('a text that was cut off is told, with the end of it that was not read', () => {
  const words = 'The text is too long for the model: it reads the first 128 tokens, and the end is cut off.';
  assert.equal(lengthsOf(text, [row(128, true)])?.words, words);
  assert.equal(lengthsOf(text, [row(128, true)])?.isCut, true);
  const left = { preparation: { kind: 'text', truncation_side: { value: 'left' } } } as const;
  assert.match(lengthsOf(left, [row(128, true)])!.words, /reads the last 128 tokens, and the beginning is cut off/);
  assert.match(lengthsOf(text, [row(3), row(128, true)])!.words, /^1 of 2 texts are too long/);
});

test('outputs of these names of a model that takes no texts are values as any', () => {
  assert.equal(lengthsOf({}, [row(6)]), undefined);
  assert.equal(lengthsOf({ preparation: { kind: 'picture' } }, [row(6)]), undefined);
});
