import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costOfMillion } from '../../../functions/cli/prices/cost.ts';
import { LIST_PRICES } from '../../../functions/cli/prices/prices.ts';
import {
  type Goal,
  instanceMemory,
  isBetter,
  paretoFront,
  pointOf,
  rank,
} from '../../../functions/cli/tune/objective.ts';
import { defaultSettings } from '../../../functions/cli/tune/settings.ts';

const GOAL: Goal = { prices: LIST_PRICES.prices, cpus: 2, way: 'gke', p99Ms: undefined };
const SETTINGS = defaultSettings({ cpus: 2, joinsRows: true, canMap: true });
const MIB = 2 ** 20;

const sample = (rate: number, p99Ms: number, memoryBytes = 100 * MIB, errorRate = 0) => {
  return { rate, p99Ms, memoryBytes, errorRate, generatorCores: 0 };
};
const point = (...args: Parameters<typeof sample>) => pointOf(SETTINGS, [sample(...args)], GOAL);

test('a point has the medians of its samples, and the cost of an instance with that memory', () => {
  const made = pointOf(SETTINGS, [sample(900, 9), sample(1000, 30), sample(5000, 10, 700 * MIB)], GOAL);
  assert.deepEqual([made.rate, made.p99Ms, made.memoryBytes], [1000, 10, 100 * MIB]);
  assert.deepEqual(made.cost, costOfMillion({ rate: 1000, cpu: 2, memoryGiB: 0.5 }, GOAL.prices));
});

test('an instance has a third more memory than was measured, in steps of 128 MiB, and what the server and Cloud Run want', () => {
  assert.equal(instanceMemory(100 * MIB, 1), 512 * MIB);
  assert.equal(instanceMemory(400 * MIB, 1), 640 * MIB);
  assert.equal(instanceMemory(100 * MIB, 1, 700 * MIB), 768 * MIB);
  assert.deepEqual([instanceMemory(1, 4), instanceMemory(1, 8)], [2048 * MIB, 4096 * MIB]);
});

test('a lower cost is better, at about the same cost a lower latency, and what fails is never better', () => {
  const base = point(1000, 20);
  assert.ok(isBetter(point(1100, 40), base, GOAL));
  assert.ok(isBetter(point(980, 10), base, GOAL));
  assert.ok(!isBetter(point(1020, 19), base, GOAL));
  assert.ok(!isBetter(point(900, 1), base, GOAL));
  assert.ok(!isBetter(point(2000, 1, 100 * MIB, 0.01), base, GOAL));
  assert.equal(point(2000, 1, 100 * MIB, 0.01).fault, '1.0 % of the requests failed');
});

test('the best is first in a ranking', () => {
  const ranked = rank([point(500, 5), point(1000, 20), point(990, 5), point(2000, 1, 100 * MIB, 1)], GOAL);
  assert.deepEqual(
    ranked.map(({ rate }) => rate),
    [990, 1000, 500, 2000],
  );
});

test('the front has what no other point beats in rate, p99 and memory', () => {
  const front = paretoFront([
    point(1000, 20),
    point(800, 20),
    point(500, 5),
    point(900, 25, 2000 * MIB),
    point(1200, 30, 2000 * MIB),
    point(5000, 1, 100 * MIB, 1),
  ]);
  assert.deepEqual(
    front.map(({ rate }) => rate),
    [1200, 1000, 500],
  );
});
