import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelInfo } from '../../../functions/page/model.ts';
import { expectedOf, scoreText, shortNumber, summaryOf, titleOf } from '../../../functions/page/result/words.ts';

const MODEL: ModelInfo = {
  name: 'm',
  version: '1',
  inputs: [],
  outputs: [{ name: 'y', dtype: 'float32', shape: [-1, 3] }],
  output: 'y',
};
const title = (y: unknown, more: Partial<ModelInfo> = {}) =>
  titleOf({ ...MODEL, ...more }, { prediction: y, outputs: { y } });

test('a prediction is its label, the likeliest class, a few numbers, or a shape', () => {
  assert.equal(titleOf(MODEL, { prediction: [1, 2, 3], label: 'rose', outputs: {} }), 'rose');
  assert.equal(title([0.1, 0.7, 0.2]), 'class 1');
  assert.equal(title([0.1, 0.7, 0.2], { classes: ['a', 'b', 'c'] }), 'b');
  assert.equal(title([1.5, -2, 3]), '1.5, -2, 3');
  assert.equal(title([1, 2, 3, 4]), '4 values');
  assert.equal(title([[0.123456789]]), '[0.123456789]');
  assert.equal(title([new Array(40).fill(1), new Array(40).fill(1)]), 'Tensor [2, 40]');
});

test('a value is written without the brackets of a column, numbers in six digits, and integers with all', () => {
  assert.equal(summaryOf([3.3999999]), '3.4');
  assert.equal(summaryOf(9_007_199_254_740_993n), '9007199254740993');
  assert.equal(summaryOf(['Oslo']), 'Oslo');
  assert.equal(summaryOf(undefined), 'null');
  assert.equal(shortNumber(Number.NEGATIVE_INFINITY), '-∞');
});

test('shares are percents, also of very little; other scores are numbers', () => {
  const texts = [0, 1e-9, 0.00012, 0.978, 1].map((value) => scoreText({ areShares: true }, value));
  assert.deepEqual(texts, ['0 %', '< 0.0001 %', '0.0120 %', '97.8 %', '100.0 %']);
  assert.equal(scoreText({ areShares: false }, -1.23456789), '-1.23457');
});

test('a golden row is named by the class that it has: by an index, or by its scores', () => {
  const classes = ['a', 'b', 'c'];
  const expected = (y: unknown, more: Partial<ModelInfo> = { classes }) =>
    expectedOf({ ...MODEL, ...more }, { features: [], outputs: { y } });
  assert.equal(expected(2), 'c');
  assert.equal(expected([1n]), 'b');
  assert.equal(expected([5, 9, -1]), 'b');
  assert.equal(expected([5, 9, -1], {}), '5, 9, -1');
  assert.equal(expectedOf(MODEL, { features: [], outputs: {} }), undefined);
});

test('an answer is its label, those that hold, or that none does', () => {
  const answer = (prediction: unknown) => titleOf(MODEL, { prediction, scores: [], outputs: { y: [1, 2, 3] } });
  assert.equal(answer('tabby cat'), 'tabby cat');
  assert.equal(answer(['praise', 'question']), 'praise, question');
  assert.equal(answer([]), 'No label');
  assert.equal(answer(null), 'No label');
});
