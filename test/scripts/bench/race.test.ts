import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUN_LOOP, withBetterLoop } from '../../../scripts/bench/convolution-race.ts';
import { failures, type Racer, runRounds, type Sample, series } from '../../../scripts/bench/race.ts';

const sample = (rate: number): Sample => ({ rate, p50: 1, p99: 1, failed: 0, cpuMs: 1, loadCores: 0 });

function racer(name: string, rates: number[], order: string[] = []): Racer {
  let round = 0;
  return {
    name,
    async measure() {
      order.push(name);
      return sample(rates[round++]!);
    },
  };
}

test('contestants take turns within each round', async () => {
  const order: string[] = [];
  const race = await runRounds([racer('a', [1, 2], order), racer('b', [3, 4], order)], 2);
  assert.deepEqual(order, ['a', 'b', 'a', 'b']);
  assert.deepEqual(
    series(race, 'b', ({ rate }) => rate),
    [3, 4],
  );
  assert.deepEqual(
    series(race, 'absent', ({ rate }) => rate),
    [],
  );
});

test('the better form of the run loop is chosen round by round', async () => {
  const loops = [racer('run loop, threads', [10, 30, 5]), racer('run loop, processes', [20, 25, 6])];
  const race = withBetterLoop(await runRounds(loops, 3));
  assert.deepEqual(
    series(race, RUN_LOOP, ({ rate }) => rate),
    [20, 30, 6],
  );
});

test('every response that is not 2xx, and every error, is a failure', () => {
  assert.equal(failures({ errors: 2, statuses: { 200: 100, 204: 1, 302: 1, 429: 3, 503: 4 } }), 10);
});
