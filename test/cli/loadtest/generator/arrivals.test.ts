import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createArrivals, createRandom } from '../../../../functions/cli/loadtest/generator/arrivals.ts';
import type { Profile } from '../../../../functions/cli/loadtest/generator/profile.ts';

const constant = (rate: number, seconds: number): Profile => [{ seconds, from: rate, to: rate }];

/** All times of a profile. */
function times(profile: Profile, kind: 'constant' | 'poisson', seed = 1, offset = 0): number[] {
  const next = createArrivals(profile, kind, createRandom(seed), offset);
  const found: number[] = [];
  for (let at = next(); at < Number.POSITIVE_INFINITY; at = next()) found.push(at);
  return found;
}

const gaps = (all: readonly number[]): number[] => all.slice(1).map((at, i) => at - all[i]!);
const mean = (all: readonly number[]): number => all.reduce((sum, value) => sum + value, 0) / all.length;

test('constant arrivals have equal distances, from the start on', () => {
  const all = times(constant(50, 2), 'constant');
  assert.equal(all.length, 100);
  assert.equal(all[0], 0);
  for (const gap of gaps(all)) assert.ok(Math.abs(gap - 0.02) < 1e-12, String(gap));
});

test('generators that share a rate alternate', () => {
  const shared = [0, 1 / 2].flatMap((offset) => times(constant(25, 2), 'constant', 1, offset)).sort((a, b) => a - b);
  assert.equal(shared.length, 100);
  for (const gap of gaps(shared)) assert.ok(Math.abs(gap - 0.02) < 1e-12, String(gap));
});

test('the distances of Poisson arrivals are exponential: mean, deviation, and the part below the mean', () => {
  const all = gaps(times(constant(100, 1000), 'poisson'));
  const average = mean(all);
  const deviation = Math.sqrt(mean(all.map((gap) => (gap - average) ** 2)));
  assert.ok(Math.abs(average - 0.01) < 0.0001, String(average));
  assert.ok(Math.abs(deviation - 0.01) < 0.0002, String(deviation));
  const below = all.filter((gap) => gap < 0.01).length / all.length;
  assert.ok(Math.abs(below - (1 - Math.exp(-1))) < 0.005, String(below));
});

test('the numbers of Poisson arrivals in equal times have the variance of their mean', () => {
  const counts = new Array<number>(1000).fill(0);
  for (const at of times(constant(100, 1000), 'poisson', 7)) counts[Math.floor(at)]! += 1;
  const average = mean(counts);
  const variance = mean(counts.map((count) => (count - average) ** 2));
  assert.ok(Math.abs(variance / average - 1) < 0.1, `${variance} / ${average}`);
});

test('the same seed gives the same arrivals, and another seed others', () => {
  const profile = constant(100, 10);
  assert.deepEqual(times(profile, 'poisson', 3), times(profile, 'poisson', 3));
  assert.notDeepEqual(times(profile, 'poisson', 3), times(profile, 'poisson', 4));
});

test('arrivals follow ramps and steps: as many as the integral of the rate', () => {
  const profile = [
    { seconds: 10, from: 0, to: 100 },
    { seconds: 10, from: 100, to: 0 },
    { seconds: 5, from: 20, to: 20 },
  ];
  for (const kind of ['constant', 'poisson'] as const) {
    const all = times(profile, kind);
    const within = (from: number, to: number): number => all.filter((at) => at >= from && at < to).length;
    const slack = kind === 'constant' ? 1 : 50;
    for (const [from, to, expected] of [
      [0, 5, 125],
      [5, 10, 375],
      [10, 15, 375],
      [15, 20, 125],
      [20, 25, 100],
    ] as const)
      assert.ok(Math.abs(within(from, to) - expected) <= slack, `${kind} ${from} to ${to}: ${within(from, to)}`);
    assert.deepEqual(
      all,
      all.toSorted((a, b) => a - b),
    );
  }
});
