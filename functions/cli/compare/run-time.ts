import { type Feeds, joinRows } from '../../engine/batch-rows.ts';
import type { ModelProcess } from './model-process.ts';

/** As many runs of each model give a stable median, and take at most about this long. */
const RUNS = 200;
const ENOUGH_MS = 2000;
/** Fewer runs give no median. */
const LEAST_RUNS = 5;
/** Runs before the first that counts: the first of a session allocates memory. */
const WARM_UP_RUNS = 3;

/**
 * The median time of a run of one row of each model, in milliseconds, with the transfer to its process and back. The models take
 * turns, so that other work on the machine slows all of them alike.
 * @param rows at least one
 */
export async function measureRunTimes(
  models: readonly Pick<ModelProcess, 'run'>[],
  rows: readonly Feeds[],
): Promise<number[]> {
  const times = models.map((): number[] => []);
  const started = performance.now();
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    if (run >= LEAST_RUNS && performance.now() - started > ENOUGH_MS) break;
    const feeds = rows[(run + WARM_UP_RUNS) % rows.length]!;
    const inputs = joinRows([{ feeds, first: 0, rows: feeds.rows }]);
    for (const [i, model] of models.entries()) {
      const before = performance.now();
      await model.run(inputs);
      if (run >= 0) times[i]!.push(performance.now() - before);
    }
  }
  return times.map((all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]!);
}
