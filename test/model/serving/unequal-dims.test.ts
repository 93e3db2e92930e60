import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import type { Outcome } from '../../../functions/engine/batcher.ts';
import { ServingError } from '../../../functions/errors.ts';
import { createExplainFailure } from '../../../functions/model/serving/unequal-dims.ts';
import type { Signature, TensorSpec } from '../../../functions/tensor/tensor.ts';

const input = (name: string, ...dimNames: (string | null)[]): TensorSpec => ({
  name,
  dtype: 'float32',
  shape: dimNames.map((dim) => (dim === null ? 4 : -1)),
  dimNames,
});
const signature = (...inputs: TensorSpec[]): Signature => ({ inputs, outputs: [] });
const feeds = (...dims: number[][]): Feeds => ({
  tensors: dims.map((one) => ({ dtype: 'float32', dims: one, data: new Float32Array(one.reduce((a, b) => a * b, 1)) })),
  rows: 1,
});
const failed: Outcome = { rows: 1, error: new ServingError('MODEL_FAILED', 'the model failed on this input: 4 by 5') };
const late: Outcome = { rows: 1, error: new ServingError('DEADLINE', 'late') };
const ids = signature(input('ids', 'batch', 'sequence'), input('mask', 'batch', 'sequence'), input('other', 'n', null));

test('a model whose inputs share no dimension has nothing to explain', () => {
  assert.equal(createExplainFailure(signature(input('x', 'batch', 'features'))), undefined);
  assert.equal(createExplainFailure(signature(input('x', 'a', null), input('y', 'b', null))), undefined);
  const { dimNames, ...unnamed } = input('x', 'a');
  assert.equal(createExplainFailure(signature(unnamed, unnamed)), undefined);
});

test('a failed run of unequal lengths is an INVALID_INPUT that names both inputs, the dimension and its lengths', () => {
  const explain = createExplainFailure(ids)!;
  const [one] = explain([failed], feeds([1, 4], [1, 5], [7, 4]));
  assert.ok('error' in one!);
  assert.deepEqual(
    [one.error.code, one.error.message],
    [
      'INVALID_INPUT',
      'the dimension sequence has one length for all inputs: got 4 in dimension 1 of input ids and 5 in dimension 1 of input mask; the model failed on this input: 4 by 5',
    ],
  );
  const [batch] = explain([failed], feeds([2, 4], [3, 4], [7, 4]));
  assert.match((batch as { error: Error }).error.message, /the dimension batch .* got 2 in .*ids and 3 in .*mask/);
});

test('rows that did not fail, failed for another reason, or failed with equal lengths, stay as they are', () => {
  const explain = createExplainFailure(ids)!;
  const fine: Outcome = { rows: 1, outputs: [], first: 0 };
  const outcomes = [fine, late];
  assert.equal(explain(outcomes, feeds([1, 4], [1, 5], [1, 4])), outcomes);
  assert.deepEqual(explain([failed], feeds([1, 4], [1, 4], [9, 4])), [failed]);
  assert.deepEqual(explain([fine, late, failed], feeds([1, 4], [1, 5], [1, 4])).slice(0, 2), [fine, late]);
});

test('a dimension that one input has twice must have one length, too', () => {
  const explain = createExplainFailure(signature(input('x', 'n', 'n')))!;
  assert.match(
    (explain([failed], feeds([2, 3]))[0] as { error: Error }).error.message,
    /the dimension n .* got 2 .* and 3/,
  );
});
