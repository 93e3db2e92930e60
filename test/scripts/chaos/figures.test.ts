import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  countStatuses,
  gapMs,
  goodput,
  goodputWindows,
  isFailed,
  microsecondsEach,
  quantile,
  type Sample,
} from '../../../scripts/chaos/figures.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';

const sample = (at: number, ms: number, rest: Partial<Sample> = {}): Sample => ({
  at,
  ms,
  status: 200,
  retryAfter: Number.NaN,
  isRight: true,
  hasLeft: false,
  ...rest,
});

test('a quantile is the nearest rank: the p99 of 100 values is the 99th, and of few values the largest', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.deepEqual(
    [0, 0.5, 0.99, 1].map((q) => quantile(values, q)),
    [1, 50, 99, 100],
  );
  assert.equal(quantile([3, 1, 2], 0.99), 3);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('goodput counts right 200s by the end of their response, in a window whose end is exclusive', () => {
  const samples = [
    sample(0, 999),
    sample(900, 100),
    sample(900, 1100),
    sample(500, 100, { isRight: false }),
    sample(500, 100, { status: 429 }),
  ];
  assert.equal(goodput(samples, 0, 1000), 1);
  assert.equal(goodput(samples, 1000, 2000), 1);
  assert.equal(goodput(samples, 0, 2001), (3 * 1000) / 2001);
});

test('the windows of goodput show a gap that the mean hides, and leave out a part of a window', () => {
  const samples = Array.from({ length: 20 }, (_, i) => sample(i < 10 ? i * 100 : 2000 + (i - 10) * 100, 0));
  assert.deepEqual(goodputWindows(samples, 0, 3500, 1000), [10, 0, 10]);
});

test('a request fails without a response or with another status, but not if it is refused or its client has left', () => {
  assert.deepEqual(
    [
      sample(0, 1, { status: 0 }),
      sample(0, 1, { status: 504 }),
      sample(0, 1, { status: 429 }),
      sample(0, 1, { status: 0, hasLeft: true }),
      sample(0, 1),
    ].map(isFailed),
    [true, true, false, false, false],
  );
});

test('the gaps of a Poisson process have the mean of its rate', () => {
  const random = createRandom(3);
  const gaps = Array.from({ length: 20_000 }, () => gapMs(100, random.int(2 ** 30) / 2 ** 30));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  assert.ok(Math.abs(mean - 10) < 0.3, String(mean));
  assert.equal(gapMs(100, 0), 0);
});

test('the CPU of each request is that of all, divided by their number', () => {
  assert.equal(microsecondsEach(0.5, 10_000), 50);
  assert.ok(Number.isNaN(microsecondsEach(1, 0)));
});

test('statuses are counted, and clients that left are told from connections that ended', () => {
  const samples = [sample(0, 1), sample(0, 1), sample(0, 1, { status: 0 }), sample(0, 1, { status: 0, hasLeft: true })];
  assert.equal(countStatuses(samples), '200: 2, left: 1, no response: 1');
});
