import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistogram, ranges } from '../../../functions/page/batch/histogram.ts';

test('labels are counted, the most frequent first', () => {
  const histogram = createHistogram();
  for (const label of ['b', 'a', 'b', 'b', 'c', 'c']) histogram.add(label, 0);
  assert.deepEqual(histogram.counts(), {
    title: 'Predictions by class',
    counts: [
      { name: 'b', value: 3 },
      { name: 'c', value: 2 },
      { name: 'a', value: 1 },
    ],
  });
});

test('a few different numbers are classes; many are divided into ranges', () => {
  const few = createHistogram();
  for (const value of [1, [0], 1n, 'x']) few.add(undefined, value);
  assert.deepEqual(few.counts()?.counts, [
    { name: '1', value: 2 },
    { name: '0', value: 1 },
    { name: 'x', value: 1 },
  ]);
  const many = createHistogram();
  for (let i = 0; i < 120; i++) many.add(undefined, [i / 10]);
  many.add(undefined, 'NaN');
  const { title, counts } = many.counts()!;
  assert.equal(title, 'Predictions by value');
  assert.equal(counts.length, 12);
  assert.equal(
    counts.reduce((sum, { value }) => sum + value, 0),
    120,
  );
});

test('what is neither a class nor a number has no histogram', () => {
  const histogram = createHistogram();
  histogram.add(undefined, [1, 2, 3]);
  histogram.add(undefined, undefined);
  assert.equal(histogram.counts(), undefined);
});

test('the memory does not grow with different labels: the rest is counted together', () => {
  const histogram = createHistogram();
  for (let i = 0; i < 5000; i++) histogram.add(`class ${i}`, 0);
  const { counts } = histogram.counts()!;
  assert.equal(counts.length, 1001);
  assert.deepEqual(counts.at(-1), { name: 'others', value: 4000 });
});

test('equal numbers are one range, and infinite ones are left out', () => {
  assert.deepEqual(ranges([Number.NaN, Number.POSITIVE_INFINITY]), []);
  assert.equal(ranges([5, 5, 5])[0]!.value, 3);
});
