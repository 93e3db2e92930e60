import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classesOf, findClassOutput } from '../../../functions/cli/compare/top-class.ts';
import type { TensorSpec } from '../../../functions/tensor/tensor.ts';
import { float32 } from '../../helpers/tensors.ts';

const LABEL: TensorSpec = { name: 'label', dtype: 'int64', shape: [-1] };
const SCORES: TensorSpec = { name: 'probabilities', dtype: 'float32', shape: [-1, 3] };
const of = (outputs: TensorSpec[], main?: string) => findClassOutput({ inputs: [], outputs }, main);

test('the class of a row is its label, or that of its largest score if the model has no label', () => {
  assert.deepEqual(of([SCORES, LABEL]), { name: 'label', kind: 'label' });
  assert.deepEqual(of([SCORES]), { name: 'probabilities', kind: 'scores' });
  assert.deepEqual(of([{ ...LABEL, dtype: 'string', shape: [-1, 1] }]), { name: 'label', kind: 'label' });
});

test('the main output goes first if it has classes', () => {
  assert.deepEqual(of([LABEL, SCORES], 'probabilities'), { name: 'probabilities', kind: 'scores' });
  assert.deepEqual(of([LABEL, { ...SCORES, name: 'map', shape: [-1, 3, 3] }], 'map'), { name: 'label', kind: 'label' });
});

test('a model with one number, a picture or any rank for a row is no classifier', () => {
  const others: TensorSpec[] = [
    { name: 'price', dtype: 'float32', shape: [-1] },
    { name: 'column', dtype: 'float32', shape: [-1, 1] },
    { name: 'picture', dtype: 'float32', shape: [-1, 3, 8, 8] },
    { name: 'tokens', dtype: 'int64', shape: [-1, -1] },
    { name: 'any', dtype: 'float32', shape: [], anyRank: true },
    { name: 'flag', dtype: 'bool', shape: [-1] },
  ];
  assert.equal(of(others), undefined);
});

test('the top class of each row is its largest score, the first of equal ones', () => {
  assert.deepEqual(classesOf(float32([3, 3], [1, 3, 2, 5, 5, 4, -3, -2, -1]), 'scores'), [1, 0, 2]);
  assert.deepEqual(classesOf({ dtype: 'string', dims: [2], data: ['a', 'b'] }, 'label'), ['a', 'b']);
});
