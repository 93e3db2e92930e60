import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bar, judge, ratios, spread } from '../../../scripts/bench/summary.ts';

const AT_LEAST: Bar = { want: 'at least', limit: 2, unit: 'x', of: 'rate' };
const AT_MOST: Bar = { want: 'at most', limit: 50, unit: 'ms', of: 'p99' };

test('a spread is the median, the least and the largest, whatever the order', () => {
  assert.deepEqual(spread([10, 2, 9]), { median: 9, min: 2, max: 10 });
  assert.deepEqual(spread([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
  assert.throws(() => spread([]), RangeError);
});

test('a ratio is taken within a round: a slow round of the machine affects both and does not change it', () => {
  assert.deepEqual(ratios([20, 2, 30], [10, 1, 10]), { median: 2, min: 2, max: 3 });
  assert.throws(() => ratios([1, 2], [1]), RangeError);
});

test('the median decides a bar, and the margin is a share of its limit', () => {
  const cases: [Bar, number, boolean, number][] = [
    [AT_LEAST, 3, true, 0.5],
    [AT_LEAST, 2, true, 0],
    [AT_LEAST, 1, false, -0.5],
    [AT_MOST, 25, true, 0.5],
    [AT_MOST, 75, false, -0.5],
  ];
  for (const [bar, median, met, margin] of cases) {
    const verdict = judge('w', bar, { median, min: 0, max: 1000 });
    assert.deepEqual([verdict.met, verdict.margin], [met, margin], `${bar.want} ${bar.limit}: ${median}`);
  }
});

test('a bar of nothing at all is met by 0 and missed by 1', () => {
  const bar: Bar = { ...AT_MOST, limit: 0 };
  assert.equal(judge('w', bar, spread([0])).met, true);
  assert.equal(judge('w', bar, spread([1])).met, false);
});

test('a figure that is not a number misses its bar', () => {
  assert.equal(judge('w', AT_LEAST, spread([Number.NaN])).met, false);
  assert.equal(judge('w', AT_MOST, spread([Number.NaN])).met, false);
});
