import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fitPair } from '../../functions/text/truncation.ts';

test('the longer text of a pair loses tokens first, with the rounding of the reference', () => {
  const cases: [lengths: [number, number], kept: [number, number]][] = [
    [
      [80, 70],
      [63, 62],
    ],
    [
      [70, 80],
      [62, 63],
    ],
    [
      [63, 63],
      [62, 63],
    ],
    [
      [100, 50],
      [75, 50],
    ],
    [
      [50, 100],
      [50, 75],
    ],
    [
      [60, 65],
      [60, 65],
    ],
  ];
  for (const [lengths, kept] of cases) assert.deepEqual(fitPair(lengths, 125), kept);
});

test('one text is cut at the limit', () => {
  assert.deepEqual(fitPair([300, 0], 126), [126, 0]);
  assert.deepEqual(fitPair([126, 0], 126), [126, 0]);
});

test('a pair beyond the limit fills it, and no text gets more tokens than it has', () => {
  const length = fc.integer({ min: 0, max: 300 });
  fc.assert(
    fc.property(length, length, length, (first, second, limit) => {
      const [a, b] = fitPair([first, second], limit);
      assert.equal(a + b, Math.min(limit, first + second));
      assert.ok(a >= 0 && b >= 0 && a <= first && b <= second);
    }),
  );
});
