import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cosineOf } from '../../../functions/page/result/similarity.ts';

test('the similarity of two vectors is the cosine of their angle, whatever their lengths', () => {
  assert.equal(cosineOf([3, 0], [7, 0]), 1);
  assert.equal(cosineOf([1, 0], [0, 2]), 0);
  assert.equal(cosineOf([1, 2], [-2, -4]).toFixed(9), '-1.000000000');
  assert.equal(cosineOf([1, 1], [1, 0]).toFixed(6), '0.707107');
  assert.ok(Number.isNaN(cosineOf([0, 0], [1, 0])));
});
