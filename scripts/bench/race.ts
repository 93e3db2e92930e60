import { cpuSeconds } from '../process-tree.ts';
import type { ModelInput } from './bench-inputs.ts';
import { runClient } from './client.ts';
import { type Contestant, type ContestantSpec, startContestant } from './contestant.ts';
import type { LoadResult } from './load.ts';
import type { ProbeResult } from './probe.ts';
import { spread } from './summary.ts';
import { figure, table } from './table.ts';

/** One measurement of one contestant. */
export interface Sample {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** Errors, and responses that were not 2xx. */
  readonly failed: number;
  /** CPU time of the contestant's processes for a request, ms. */
  readonly cpuMs: number;
  /** Cores that the load generator used at the same time. */
  readonly loadCores: number;
  readonly health?: ProbeResult;
}

/** A participant of a race: measured once a round, in turn with the others. */
export interface Racer {
  readonly name: string;
  measure(): Promise<Sample>;
}

export type Race = ReadonlyMap<string, readonly Sample[]>;

interface LoadShape {
  readonly connections: number;
  readonly seconds: number;
  /** Also sends GET /health 50 times a second during the load. */
  readonly probeHealth?: boolean;
}

const PROBES_PER_SECOND = 50;
/** Lead-in before each measurement, which is not counted: the generator's own start. */
const LEAD_IN_SECONDS = 0.5;

/** Responses that were not 2xx, and errors. */
export function failures(result: Pick<LoadResult, 'errors' | 'statuses'>): number {
  const bad = Object.entries(result.statuses).filter(([status]) => !status.startsWith('2'));
  return bad.reduce((sum, [, count]) => sum + count, result.errors);
}

function serverRacer(server: Contestant, model: ModelInput, shape: LoadShape): Racer {
  async function measure(): Promise<Sample> {
    const pids = server.pids();
    const cpuBefore = cpuSeconds(pids);
    const { port } = server;
    const [load, health] = await Promise.all([
      runClient<LoadResult>('load', {
        port,
        ...(model.lines === true ? { lines: model.body } : { body: model.body }),
        ...(model.path !== undefined && { path: model.path }),
        ...(model.type !== undefined && { type: model.type }),
        connections: shape.connections,
        seconds: shape.seconds,
        warmup: LEAD_IN_SECONDS,
      }),
      shape.probeHealth
        ? runClient<ProbeResult>('load', {
            port,
            path: '/health',
            probe: PROBES_PER_SECOND,
            seconds: shape.seconds + LEAD_IN_SECONDS,
          })
        : undefined,
    ]);
    // The CPU time includes the lead-in, whose requests are assumed to have the measured rate.
    const requests = (load.requests * (load.seconds + LEAD_IN_SECONDS)) / load.seconds;
    const cpuMs = ((cpuSeconds(pids) - cpuBefore) / Math.max(1, requests)) * 1000;
    const { rate, p50, p99, cores } = load;
    const sample = { rate, p50, p99, failed: failures(load), cpuMs, loadCores: cores };
    return health === undefined ? sample : { ...sample, health };
  }
  return { name: server.name, measure };
}

/** A B C A B C …: every participant once a round, so that a change of the machine's speed affects all of them. */
export async function runRounds(racers: readonly Racer[], rounds: number): Promise<Race> {
  const race = new Map<string, Sample[]>(racers.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const racer of racers) race.get(racer.name)!.push(await racer.measure());
  }
  return race;
}

/**
 * Starts all servers, warms each up under the same load, races them and `others` for some rounds, and stops them. They run at the
 * same time: an idle one takes memory and no CPU. One that does not start is named and left out.
 */
export async function raceServers(
  specs: readonly ContestantSpec[],
  model: ModelInput,
  shape: LoadShape,
  rounds: number,
  others: readonly Racer[] = [],
): Promise<Race> {
  const servers: Contestant[] = [];
  try {
    for (const spec of specs) {
      try {
        servers.push(await startContestant(spec, model.request));
      } catch (error) {
        console.log(`  ${(error as Error).message}`);
      }
    }
    const racers = servers.map((server) => serverRacer(server, model, shape));
    const warmUp = { ...shape, seconds: Math.min(2, shape.seconds), probeHealth: false };
    for (const server of servers) await serverRacer(server, model, warmUp).measure();
    return await runRounds([...racers, ...others], rounds);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** One figure of one contestant, by round; empty if it did not take part. */
export function series(race: Race, name: string, pick: (sample: Sample) => number): number[] {
  return (race.get(name) ?? []).map(pick);
}

/** The median figures of a race, a line for each contestant, and each rate relative to that of `base`. */
export function raceTable(race: Race, base: string): string {
  const baseRates = series(race, base, (sample) => sample.rate);
  const probed = [...race.values()].some((samples) => samples.some((sample) => sample.health !== undefined));
  const rows = [...race].map(([name, samples]) => {
    const median = (pick: (sample: Sample) => number) => spread(samples.map(pick)).median;
    const against = samples.map((sample, round) => sample.rate / (baseRates[round] ?? Number.NaN));
    const failed = samples.reduce((sum, sample) => sum + sample.failed, 0);
    return [
      name,
      figure(median((s) => s.rate)),
      figure(median((s) => s.p50)),
      figure(median((s) => s.p99)),
      figure(median((s) => s.cpuMs)),
      figure(median((s) => s.loadCores)),
      `${spread(against).median.toFixed(2)}x`,
      String(failed),
      ...(probed ? [figure(median((s) => s.health?.p99 ?? Number.NaN))] : []),
    ];
  });
  const head = ['contestant', 'rate /s', 'p50 ms', 'p99 ms', 'CPU ms/req', 'load cores', `rate / ${base}`, 'failed'];
  return table(probed ? [...head, '/health p99 ms'] : head, rows);
}
