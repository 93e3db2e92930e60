import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIST_PRICES } from '../../../functions/cli/prices/prices.ts';
import type { Goal, Sample } from '../../../functions/cli/tune/objective.ts';
import { search } from '../../../functions/cli/tune/search.ts';
import { axesOf, defaultSettings, type Facts, keyOf, type Settings } from '../../../functions/cli/tune/settings.ts';

const FACTS: Facts = { cpus: 4, joinsRows: true, canMap: true };
const GOAL: Goal = { prices: LIST_PRICES.prices, cpus: 4, way: 'cloudRunInstances', p99Ms: undefined };
const DEFAULTS = defaultSettings(FACTS);

/** A model that gives a rate and a p99 for settings. */
type Machine = (settings: Settings) => { readonly rate: number; readonly p99Ms: number };

/** Callers get in each other's way beyond `best` of them: the rate stays, and they wait longer. */
function saturating(best: number, most: (settings: Settings) => number): Machine {
  return (settings) => {
    const rate = most(settings) * Math.min(1, settings.concurrency / best);
    return { rate, p99Ms: (settings.concurrency / rate) * 2000 };
  };
}

/** Searches with a budget of so many loads. @param noise a part of the rate, of each load by its number */
async function find(machine: Machine, loads: number, noise: (load: number) => number = () => 0, goal = GOAL) {
  const measured: Settings[] = [];
  const found = await search({
    defaults: DEFAULTS,
    axes: axesOf(FACTS),
    goal,
    used: () => measured.length / loads,
    async measure(settings): Promise<Sample> {
      const { rate, p99Ms } = machine(settings);
      const factor = 1 + noise(measured.length);
      measured.push(settings);
      const memoryBytes = settings.processes * 80e6;
      return { rate: rate * factor, p99Ms: p99Ms / factor, memoryBytes, errorRate: 0, generatorCores: 0 };
    },
  });
  return { ...found, measured };
}

test('from the defaults it finds the best choice of each part of the settings, with few of all combinations', async () => {
  const machine = saturating(16, ({ processes, threads, batch, delayMs, weights }) => {
    const engines = processes === 2 && threads === 2 ? 2000 : 1000;
    return engines * (weights === 'mapped' ? 1.5 : 1) * (batch >= 128 ? 1.2 : 1) * (delayMs === 1 ? 1.1 : 1);
  });
  const { best, measured, isComplete } = await find(machine, 120);
  assert.ok(isComplete);
  assert.ok(!(await find(machine, 10)).isComplete);
  const { processes, threads, batch, delayMs, weights, concurrency } = best.settings;
  assert.deepEqual([processes, threads, batch, delayMs, weights, concurrency], [2, 2, 128, 1, 'mapped', 16]);
  const combinations = axesOf(FACTS).reduce((product, { choices }) => product * choices.length, 1);
  assert.ok(measured.length <= 100 && combinations > 2000, `${measured.length} of ${combinations}`);
});

test('the defaults are measured in every final round, in changing order, and stay if nothing is better', async () => {
  const machine = saturating(80, ({ processes, threads, weights, delayMs }) =>
    processes === 4 && threads === 1 && weights === 'packed' && delayMs === 0 ? 1000 : 500,
  );
  const { best, defaults, measured } = await find(machine, 60);
  assert.equal(keyOf(best.settings), keyOf(DEFAULTS));
  assert.ok(defaults.samples.length >= 3);
  const last = measured.slice(-8).map(keyOf);
  assert.equal(last.filter((key) => key === keyOf(DEFAULTS)).length, 2);
  assert.deepEqual(last.slice(0, 4), last.slice(4).reverse());
});

/** Noise of ±15 %, the same for the same seed. */
function noiseOf(seed: number): () => number {
  let state = seed * 7919;
  return () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return (state / 2 ** 31 - 0.5) * 0.3;
  };
}

test('what is better by chance alone is rarely chosen: it must win most rounds against the defaults beside it', async () => {
  const seeds = Array.from({ length: 50 }, (_, i) => i + 1);
  const flat: Machine = () => ({ rate: 1000, p99Ms: 100 });
  const results = await Promise.all(seeds.map((seed) => find(flat, 70, noiseOf(seed))));
  const kept = results.filter(({ best }) => keyOf(best.settings) === keyOf(DEFAULTS)).length;
  assert.ok(kept >= 45, `the defaults stayed in ${kept} of ${seeds.length} searches`);
});

test('what is clearly better is chosen, however much the results vary', async () => {
  const machine = saturating(80, ({ weights }) => (weights === 'mapped' ? 1500 : 1000));
  for (let seed = 1; seed <= 20; seed++) {
    const { best } = await find(machine, 70, noiseOf(seed));
    assert.equal(best.settings.weights, 'mapped', `seed ${seed}`);
  }
});

test('the defaults stay if their own results differ by more than twice: nothing can be said of other settings', async () => {
  const machine = saturating(80, ({ weights }) => (weights === 'mapped' ? 1500 : 1000));
  const { best, variation } = await find(machine, 70, (load) => (load % 3 === 0 ? -0.6 : 0));
  assert.ok(variation > 2);
  assert.equal(keyOf(best.settings), keyOf(DEFAULTS));
});

test('a p99 that is allowed excludes what is above it, and of equal costs the lower latency is chosen', async () => {
  const machine = saturating(8, () => 1000);
  assert.equal((await find(machine, 70)).best.settings.concurrency, 8);
  const strict = await find(machine, 70, undefined, { ...GOAL, p99Ms: 10 });
  // 2 s × callers ÷ rate: 16 ms from 8 callers on, and below them the rate falls with their number.
  assert.equal(strict.best.fault, 'p99 is above 10 ms');
  const loose = await find(machine, 70, undefined, { ...GOAL, p99Ms: 20 });
  assert.deepEqual([loose.best.fault, loose.best.settings.concurrency], [undefined, 8]);
});

test('the budget bounds the loads: three rounds of the defaults and one other setting are the least', async () => {
  const machine = saturating(16, () => 1000);
  for (const loads of [1, 10, 20, 40, 200]) {
    const { measured } = await find(machine, loads);
    assert.ok(measured.length <= Math.max(loads + 4, 8), `${measured.length} of ${loads}`);
  }
});

test('settings with which nothing is served are never chosen', async () => {
  const machine: Machine = ({ processes, concurrency }) => ({ rate: processes > 4 ? 0 : 1000, p99Ms: concurrency });
  const { points, best } = await find(machine, 70);
  const dead = points.find(({ settings }) => settings.processes === 5)!;
  assert.equal(dead.fault, 'no request was answered');
  assert.equal(best.fault, undefined);
});
