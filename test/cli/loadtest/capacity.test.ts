import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCapacity, type Trial } from '../../../functions/cli/loadtest/capacity.ts';
import { generate } from '../../../functions/cli/loadtest/generator/generate.ts';
import { judge } from '../../../functions/cli/loadtest/slo.ts';
import { summarize } from '../../../functions/cli/loadtest/summary.ts';
import { createSimulatedClock, createSimulatedServer } from '../../helpers/simulated-load.ts';

const TRIAL_MS = 5000;

/** A search on a clock that passes with the trials. */
async function search(
  measure: (rate: number) => Partial<Trial>,
  more: Partial<Parameters<typeof findCapacity>[1]> = {},
) {
  let now = 0;
  const rates: number[] = [];
  const capacity = await findCapacity(
    async (rate) => {
      now += TRIAL_MS;
      rates.push(rate);
      return { rate, met: false, isGeneratorsLimit: false, ...measure(rate) };
    },
    { from: 100, precision: 0.05, withinMs: 300_000, trialMs: TRIAL_MS, clock: { now: () => now }, ...more },
  );
  return { ...capacity, rates, seconds: now / 1000 };
}

test('the rate is doubled until the objectives are missed, then the distance is halved', async () => {
  const { rates, rate, ended } = await search((tried) => ({ met: tried <= 730 }));
  assert.deepEqual(rates.slice(0, 5), [100, 200, 400, 800, 600]);
  assert.ok(rate! <= 730 && rate! >= 730 * 0.95, String(rate));
  assert.equal(ended, 'precise');
});

test('a first rate that is too high is halved', async () => {
  const { rates, rate } = await search((tried) => ({ met: tried <= 30 }), { from: 1000 });
  assert.deepEqual(rates.slice(0, 4), [1000, 500, 250, 125]);
  assert.ok(rate! <= 30 && rate! >= 28, String(rate));
});

test('a server that meets the objectives at no rate has no capacity, and the search ends', async () => {
  const { rate, ended, trials } = await search(() => ({ met: false }));
  assert.deepEqual([rate, ended], [undefined, 'precise']);
  assert.ok(trials.length < 12);
});

test('the search ends in its time, with the best rate so far', async () => {
  const { rate, ended, seconds } = await search(() => ({ met: true }), { withinMs: 22_000 });
  assert.deepEqual([rate, ended], [800, 'time']);
  assert.ok(seconds <= 22);
});

test('where the generator is the limit, the search ends, and the capacity is at least the last rate', async () => {
  const { rate, ended } = await search((tried) => ({ met: tried <= 400, isGeneratorsLimit: tried > 400 }));
  assert.deepEqual([rate, ended], [400, 'generator']);
});

test('of a simulated server with Poisson arrivals, the search finds the rate that its queue allows', async () => {
  // A server with a constant service time of 1 ms: the queue of an M/D/1 at load r waits r / (2 - 2r) ms on average.
  const slo = [{ figure: 'mean', limit: 3 }] as const;
  let seed = 1;
  async function measure(rate: number): Promise<Trial> {
    const clock = createSimulatedClock();
    const server = createSimulatedServer(clock, { serviceMs: 1 });
    const loop = {
      kind: 'open',
      rate: [{ seconds: 10, from: rate, to: rate }],
      arrivals: 'poisson',
      connections: 1000,
      seed: seed++,
    } as const;
    const options = {
      endpoint: { port: 1 },
      requests: [Buffer.from('x')],
      loop,
      warmupSeconds: 1,
      maxRequests: 0,
      timeoutMs: 5000,
      honoursRetryAfter: false,
    };
    const recording = generate(options, {}, clock, server.connect);
    clock.run();
    const result = summarize(await recording, loop);
    return { rate, met: judge(slo, result).every(({ met }) => met), isGeneratorsLimit: false };
  }
  const { rate } = await findCapacity(measure, {
    from: 100,
    precision: 0.02,
    withinMs: Number.POSITIVE_INFINITY,
    trialMs: 1,
    clock: { now: () => 0 },
  });
  // 1 + r / (2 - 2r) = 3 at r = 0.8.
  assert.ok(rate! > 730 && rate! < 870, String(rate));
});
