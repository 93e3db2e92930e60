import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Comparison } from '../../../functions/cli/compare/compare-models.ts';
import { whyBeyond } from '../../../functions/cli/compare/tolerance.ts';

const joining = { enabled: true, decidedBy: 'proof', reason: '' } as const;
const FIGURES = { bytes: 1, runMs: 1, joining };
const FLOATS = { output: 'y', elements: 4, unequal: 4, otherShapes: 0 };
const NUMBERS: Comparison = {
  rows: 100,
  outputs: [{ ...FLOATS, difference: { largest: 9, mean: 3, largestRelative: 0.5, meanRelative: 0.02 } }],
  missing: [],
  original: FIGURES,
  result: FIGURES,
};
const CLASSES: Comparison = { ...NUMBERS, agreement: { output: 'y', equal: 99, of: 100, share: 0.99 } };

test('a classifier is measured by the share of rows that get another class', () => {
  assert.equal(whyBeyond(CLASSES, 0.01), undefined);
  assert.equal(whyBeyond(CLASSES, 0.009), '1 % of the rows get another class, and the tolerance is 0.9 %');
});

test('any other model is measured by the mean relative difference of each output', () => {
  assert.equal(whyBeyond(NUMBERS, 0.02), undefined);
  assert.equal(whyBeyond(NUMBERS, 0.01), 'output y: the mean relative difference is 0.0200, and the tolerance is 0.01');
  const texts: Comparison = { ...NUMBERS, outputs: [{ ...FLOATS, unequal: 1 }] };
  assert.equal(whyBeyond(texts, 0.25), undefined);
  assert.match(whyBeyond(texts, 0.2)!, /^output y: the share of elements that differ is 0\.250/);
});

test('a missing output and another shape are beyond any tolerance', () => {
  assert.equal(whyBeyond({ ...CLASSES, missing: ['z'] }, 1), 'the result has no output z');
  const reshaped = { ...CLASSES, outputs: [{ ...FLOATS, otherShapes: 2 }] };
  assert.equal(whyBeyond(reshaped, 1), 'output y has another shape for 2 of the rows');
});
