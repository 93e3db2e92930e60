import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scoresOf } from '../../functions/page/scores.ts';

const outputs = [
  { name: 'label', dtype: 'int64', shape: [-1] },
  { name: 'p', dtype: 'float32', shape: [-1, 2] },
];

test('bars are of the output with a score for each class', () => {
  const given = { label: 1, p: [0.25, 0.75] };
  assert.deepEqual(scoresOf({ classes: ['no', 'yes'], outputs }, { outputs: given }), {
    output: 'p',
    scores: [
      { name: 'no', value: 0.25 },
      { name: 'yes', value: 0.75 },
    ],
  });
  assert.deepEqual(scoresOf({ outputs }, { outputs: given })?.scores[1], { name: '1', value: 0.75 });
});

test('logits, other lengths and values that add up to something else get none', () => {
  const none = (p: unknown, classes?: string[]) =>
    assert.equal(scoresOf({ outputs, ...(classes && { classes }) }, { outputs: { label: 1, p } }), undefined);
  none([-1, 2]);
  none([0.5, 0.5, 0], ['a', 'b']);
  none([0.9, 0.9]);
  none(['NaN', 1]);
  none(0.5);
});
