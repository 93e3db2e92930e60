import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundLabel, createHistogram, createTally } from '../../../functions/telemetry/metrics/series.ts';

/** The value of each bucket by its `le`, then the sum and the count. */
function read(histogram: ReturnType<typeof createHistogram>): [Record<string, number>, number, number] {
  const samples = histogram.samples('h', { model: 'm' });
  const buckets = samples.filter((one) => one.metricName === 'h_bucket');
  const part = (name: string) => samples.find((one) => one.metricName === name)!.value;
  return [Object.fromEntries(buckets.map((one) => [one.labels.le, one.value])), part('h_sum'), part('h_count')];
}

test('a value is counted the given number of times', () => {
  const histogram = createHistogram([1, 2]);
  histogram.observe(1.5, 3);
  histogram.observe(0.5);
  assert.deepEqual(
    histogram.samples('h', {}).map(({ value }) => value),
    [1, 4, 4, 5, 4],
  );
});

test('a bucket counts the values not above its bound, those of the smaller buckets included', () => {
  const histogram = createHistogram([1, 2, 4]);
  for (const value of [0.5, 1, 1.5, 2, 2.5, 4, 4.5, 100]) histogram.observe(value);
  assert.deepEqual(read(histogram), [{ 1: 2, 2: 4, 4: 6, '+Inf': 8 }, 116, 8]);
});

test('each value falls where a search bucket by bucket would put it', () => {
  const bounds = Array.from({ length: 18 }, (_, i) => 2 ** i);
  const values = Array.from({ length: 2000 }, (_, i) => i * 131.7);
  const histogram = createHistogram(bounds);
  for (const value of values) histogram.observe(value);
  const [buckets] = read(histogram);
  for (const bound of bounds) assert.equal(buckets[bound], values.filter((value) => value <= bound).length);
});

test('a value that is no duration counts as 0 and does not spoil the sum', () => {
  const histogram = createHistogram([1]);
  for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY, 0.5]) histogram.observe(value);
  assert.deepEqual(read(histogram), [{ 1: 4, '+Inf': 4 }, 0.5, 4]);
});

test('a histogram starts with all its buckets at 0', () => {
  assert.deepEqual(read(createHistogram([1, 2])), [{ 1: 0, 2: 0, '+Inf': 0 }, 0, 0]);
});

test('a tally has every name from the start', () => assert.deepEqual(createTally(['a', 'b']), { a: 0, b: 0 }));

test('a label keeps the values it saw first, and the rest are other', () => {
  const label = boundLabel(2);
  assert.deepEqual(['a', 'b', 'c', 'a', 'd', 'b'].map(label), ['a', 'b', 'other', 'a', 'other', 'b']);
});
