import assert from 'node:assert/strict';
import { test } from 'node:test';
import { numberOf, scoresOf, softmax } from '../../../functions/page/result/scores.ts';

const outputs = [
  { name: 'label', dtype: 'int64', shape: [-1] },
  { name: 'p', dtype: 'float32', shape: [-1, 2] },
];
const of = (p: unknown, more: Partial<Parameters<typeof scoresOf>[0]> = {}) =>
  scoresOf({ outputs, ...more }, { outputs: { label: 1, p } });

test('probabilities are those of the classes, the highest first', () => {
  const [only, ...others] = of([0.25, 0.75], { classes: ['no', 'yes'] });
  assert.deepEqual(others, []);
  assert.deepEqual(only, {
    output: 'p',
    areShares: true,
    scores: [
      { name: 'yes', value: 0.75 },
      { name: 'no', value: 0.25 },
    ],
    low: 0,
    high: 1,
  });
  assert.deepEqual(of([0.25, 0.75])[0]!.scores[0], { name: 'class 1', value: 0.75 });
});

test('logits are shown as they are, on a scale with 0 in it', () => {
  const [only] = of([-4, 2]);
  assert.deepEqual([only!.areShares, only!.low, only!.high], [false, -4, 2]);
  assert.deepEqual(only!.scores[0], { name: 'p[0]', value: -4 });
  const [negative] = of([-4, -2]);
  assert.deepEqual([negative!.low, negative!.high], [-4, 0]);
  const [zeros] = of([0, 0]);
  assert.deepEqual([zeros!.low, zeros!.high], [0, 1]);
});

test('scores between 0 and 1 that add up to something else are no probabilities', () => {
  const [only] = of([0.9, 0.8]);
  assert.deepEqual([only!.areShares, only!.high], [false, 1]);
});

test('softmax is applied where the manifest says so, to the main output alone', () => {
  assert.equal(of([0, 0], { activation: 'softmax', output: 'p' })[0]!.scores[0]!.value, 0.5);
  assert.equal(of([0, 0], { activation: 'softmax', output: 'label' })[0]!.scores[0]!.value, 0);
  assert.deepEqual(softmax([1000, 1000]), [0.5, 0.5]);
  assert.deepEqual(softmax([Number.NaN, 1]), [Number.NaN, 1]);
});

test('the main output comes first; texts, lone numbers and integers have no scores', () => {
  const both = [...outputs, { name: 'q', dtype: 'float64', shape: [-1, 3] }];
  const given = { label: 1, p: [0.5, 0.5], q: [1, 2, 3] };
  const found = scoresOf({ outputs: both, output: 'q' }, { outputs: given });
  assert.deepEqual(
    found.map(({ output }) => output),
    ['q', 'p'],
  );
  for (const none of [0.5, [0.5], ['a', 'b'], [[1, 2]], undefined]) assert.deepEqual(of(none), []);
});

test('NaN comes last, and infinities are scores', () => {
  const [only] = of(['NaN', 1, 'Infinity', '-Infinity'], { classes: ['a', 'b', 'c', 'd'] });
  assert.deepEqual(
    only!.scores.map(({ value }) => value),
    [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, Number.NaN],
  );
  assert.equal(numberOf('constructor'), undefined);
});

test('a thousand classes are ranked', () => {
  const values = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000);
  const [only] = of(values);
  assert.deepEqual(
    only!.scores.slice(0, 10).map(({ value }) => value),
    [999, 998, 997, 996, 995, 994, 993, 992, 991, 990],
  );
});

test('labels of which several hold are probabilities of their own, the highest first', () => {
  const [only] = of([0, 2, -2], { output: 'p', classes: ['a', 'b', 'c'], answer: { activation: 'sigmoid' } });
  assert.deepEqual(
    only!.scores.map(({ name, value }) => `${name} ${value.toFixed(4)}`),
    ['b 0.8808', 'a 0.5000', 'c 0.1192'],
  );
  assert.deepEqual([only!.arePercent, only!.areShares, only!.low, only!.high], [true, false, 0, 1]);
});

test('the activation of the answer counts, and the scores of the response are shown if they cannot be made of the outputs', () => {
  const model = {
    output: 'p',
    outputs,
    classes: ['a', 'b'],
    activation: 'softmax',
    answer: { activation: 'none' },
  } as const;
  assert.equal(scoresOf(model, { outputs: { p: [3, 1] } })[0]?.scores[0]?.value, 3);
  const scores = [
    { label: 'b', score: 0.75 },
    { label: 'a', score: 'NaN' },
  ];
  const [shown] = scoresOf(model, { outputs: { p: 'large' }, scores });
  assert.deepEqual(
    shown?.scores.map(({ name }) => name),
    ['b', 'a'],
  );
  assert.equal(shown?.scores[0]?.value, 0.75);
});
