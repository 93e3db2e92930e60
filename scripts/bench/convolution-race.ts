import { join } from 'node:path';
import type { LoopResult } from './baselines/run-loop.ts';
import type { ModelInput } from './bench-inputs.ts';
import { runClient } from './client.ts';
import { type Race, type Racer, raceServers, raceTable, type Sample } from './race.ts';
import type { Bar, Verdict } from './summary.ts';
import { type Bench, judgeAgainst, judgeProduct, PLAIN, present } from './workload.ts';

export const RUN_LOOP = 'run loop on all CPUs';
export const HEALTH: Bar = { want: 'at most', limit: 25, unit: 'ms', of: '/health p99 beside the load' };

const FORMS = ['threads', 'processes'] as const;

function loopRacer(form: (typeof FORMS)[number], model: ModelInput, seconds: number): Racer {
  async function measure(): Promise<Sample> {
    const args = { model: join(model.folder, 'model.onnx'), form, seconds };
    const { rate, p50 } = await runClient<LoopResult>('baselines/run-loop', args);
    return { rate, p50, p99: Number.NaN, failed: 0, cpuMs: Number.NaN, loadCores: Number.NaN };
  }
  return { name: `run loop, ${form}`, measure };
}

/** The race with a further contestant: the better of the two forms of the run loop, round by round. */
export function withBetterLoop(race: Race): Race {
  const [threads = [], processes = []] = FORMS.map((form) => race.get(`run loop, ${form}`));
  const better = threads.map((sample, round) => (processes[round]!.rate > sample.rate ? processes[round]! : sample));
  return new Map([...race, [RUN_LOOP, better]]);
}

/** Races a convolution net with 4 connections against `session.run` in a loop, and probes /health meanwhile. */
export async function raceConvolution(
  bench: Bench,
  workload: string,
  model: ModelInput,
  overLoop: Bar,
): Promise<readonly Verdict[]> {
  const seconds = bench.quick ? 2 : 6;
  const servers = present([bench.product(model), bench.baseline(PLAIN, 'plain-http', model)]);
  const loops = FORMS.map((form) => loopRacer(form, model, bench.quick ? 2 : 5));
  const shape = { connections: 4, seconds, probeHealth: true };
  const race = withBetterLoop(await raceServers(servers, model, shape, bench.rounds, loops));
  console.log(raceTable(race, RUN_LOOP));
  return [
    judgeAgainst(workload, overLoop, race, RUN_LOOP, (sample) => sample.rate),
    judgeProduct(workload, HEALTH, race, (sample) =>
      sample.health === undefined || sample.health.errors > 0 ? Number.NaN : sample.health.p99,
    ),
  ];
}
