import { setTimeout as sleep } from 'node:timers/promises';
import type { ModelInput } from '../bench-inputs.ts';
import { runClient } from '../client.ts';
import { type ContestantSpec, startContestant } from '../contestant.ts';
import type { LoadResult } from '../load.ts';
import { canMeasureMemory, treePss } from '../memory.ts';
import { failures } from '../race.ts';
import { type Bar, judge, spread, unmeasured } from '../summary.ts';
import { figure, table } from '../table.ts';
import { type Bench, NOT_BUILT, PLAIN, type Workload } from '../workload.ts';

const NAME = 'memory';
const ONE_ENGINE: Bar = { want: 'at most', limit: 115, unit: 'MB', of: 'PSS with one engine process' };
const NEXT_ENGINE: Bar = { want: 'at most', limit: 65, unit: 'MB', of: 'PSS of a further engine process' };
/** The memory of a garbage-collected process is never constant; a leak of 25 bytes for each prediction would be 10 MB here. */
const LEVEL: Bar = { want: 'at most', limit: 10, unit: 'MB', of: 'growth over the next 400 k predictions' };

const PAUSE_MS = 200;

/** The PSS of idle processes: the median of five measurements. */
export async function restingPss(pid: number): Promise<number> {
  const looks: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    await sleep(PAUSE_MS);
    looks.push(treePss(pid));
  }
  return spread(looks).median;
}

/**
 * The same server, run by a copy of the node program that no other process runs. PSS divides a file's pages among all processes that
 * map them: if the harness ran the same file, the result would be tens of MB too low for a container, which is alone.
 */
export function alone(bench: Bench, spec: ContestantSpec): ContestantSpec {
  return { ...spec, command: [bench.inputs.ownNode, ...spec.command.slice(1)] };
}

/** MB when idle, first after one prediction, then after each of `stages` more. */
async function climb(spec: ContestantSpec, model: ModelInput, stages: readonly number[]) {
  const server = await startContestant(spec, model.request);
  try {
    const figures = [await restingPss(server.pid)];
    for (const requests of stages) {
      const args = { port: server.port, body: model.body, connections: 32, requests, seconds: 120 };
      const load = await runClient<LoadResult>('load', args);
      const short = requests - load.requests + failures(load);
      if (short > 0)
        throw new Error(`${spec.name}: ${short} of ${requests} predictions failed or were not made in time`);
      figures.push(await restingPss(server.pid));
    }
    return { figures, processes: server.pids().length };
  } finally {
    await server.stop();
  }
}

export const memory: Workload = {
  name: NAME,
  title: 'memory (PSS of all processes) after 100 k and 500 k predictions of iris',
  bars: [ONE_ENGINE, NEXT_ENGINE, LEVEL],
  async run(bench) {
    if (!canMeasureMemory) return this.bars.map((bar) => unmeasured(NAME, bar, 'needs /proc of Linux'));
    const model = bench.inputs.models.iris;
    const [first, second] = bench.quick ? [20_000, 40_000] : [100_000, 400_000];
    const rows: string[][] = [];
    async function measure(name: string, spec: ContestantSpec, stages: readonly number[]): Promise<number[]> {
      const { figures, processes } = await climb(spec, model, stages);
      rows.push([name, String(processes), ...figures.map(figure)]);
      return figures;
    }
    const one = bench.product(model, { INFERENCE_PROCESSES: '1' });
    const two = bench.product(model, { INFERENCE_PROCESSES: '2' });
    const single = one && (await measure(`${one.name}, one engine`, alone(bench, one), [first, second]));
    const double = two && (await measure(`${two.name}, two engines`, alone(bench, two), [first]));
    if (one) await measure(`${one.name}, one engine, node shared with the harness`, one, [first]);
    await measure(PLAIN, alone(bench, bench.baseline(PLAIN, 'plain-http', model)), [first]);
    console.log(table(['contestant', 'processes', 'idle MB', `after ${first}`, `after ${first + second}`], rows));
    if (single === undefined || double === undefined) return this.bars.map((bar) => unmeasured(NAME, bar, NOT_BUILT));
    return [
      judge(NAME, ONE_ENGINE, spread([single[1]!])),
      judge(NAME, NEXT_ENGINE, spread([double[1]! - single[1]!])),
      judge(NAME, LEVEL, spread([single[2]! - single[1]!])),
    ];
  },
};
