import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistogram, type Histogram } from '../../../../functions/cli/quantize/static/histogram.ts';
import { entropyRange, percentileRange } from '../../../../functions/cli/quantize/static/thresholds.ts';

const SEEN = { min: -1, max: 1 };

function histogramOf(count: (bin: number) => number, bins = 2048): Histogram {
  const histogram = createHistogram(bins, -1, 1);
  for (let bin = 0; bin < bins; bin++) histogram.counts[bin] = count(bin);
  return histogram;
}

const bell = (bin: number, center: number, width: number): number => Math.exp(-(((bin - center) / width) ** 2));

/** The ranges are those of a transcription of `get_entropy_threshold` of onnxruntime's calibrate.py to plain Python. */
const CASES: [title: string, count: (bin: number) => number, min: number, max: number][] = [
  ['long tails', (i) => Math.floor(5000 * Math.exp(-Math.abs(i - 1024) / 60)), -0.501953125, 0.5029296875],
  [
    'a bell with two outliers',
    (i) => Math.floor(1000 * bell(i, 1024, 100)) + Number(i === 5 || i === 2040),
    -0.3681640625,
    0.369140625,
  ],
  [
    'positive values with gaps',
    (i) => (i < 1024 ? 0 : Math.floor(2000 * bell(i, 1104, 30)) + Number(i % 37 === 0)),
    -0.2109375,
    0.2119140625,
  ],
  ['equal counts', () => 100, -1, 1],
];

for (const [title, count, min, max] of CASES) {
  test(`the range by entropy of ${title} is that of onnxruntime`, () => {
    const range = entropyRange(histogramOf(count), SEEN);
    assert.ok(Math.abs(range.min - min) < 1e-6 && Math.abs(range.max - max) < 1e-6, `${range.min} to ${range.max}`);
  });
}

test('no range is wider than the values that were seen', () => {
  const positive = histogramOf((i) => (i < 1024 ? 0 : 100));
  assert.deepEqual(entropyRange(positive, { min: 0.125, max: 0.875 }), { min: 0.125, max: 0.875 });
  const magnitudes = { ...createHistogram(4, 0, 1), counts: Float64Array.of(1, 1, 1, 1) };
  assert.deepEqual(percentileRange(magnitudes, 100, { min: 0.125, max: 0.5 }), { min: 0.125, max: 0.5 });
});

test('values that are all zero have the range that was seen', () => {
  assert.deepEqual(entropyRange(createHistogram(2048, 0, 0), { min: 0, max: 0 }), { min: 0, max: 0 });
});

test('a percentile leaves out the largest magnitudes: its range ends with the bin that reaches it', () => {
  const magnitudes = { ...createHistogram(10, 0, 1), counts: Float64Array.from([90, 5, 0, 0, 4, 0, 0, 0, 0, 1]) };
  const to = (percentile: number) => Number(percentileRange(magnitudes, percentile, SEEN).max.toFixed(6));
  assert.deepEqual([90, 95, 99, 99.5].map(to), [0, 0.1, 0.4, 0.9]);
  assert.deepEqual(percentileRange(magnitudes, 99, { min: -0.05, max: 1 }).min, -0.05);
});
