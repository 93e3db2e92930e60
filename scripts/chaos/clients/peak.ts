import { goodput, type Sample } from '../figures.ts';
import { closedLoop, type MakeWork, runFor } from './load.ts';

/** The first part of a load is not measured: connections open, and the server's code is compiled. */
const WARM_UP_SECONDS = 0.5;
const ENGINES = 2;

/** What a server does without a disturbance. */
export interface Peak {
  /** Right responses a second. */
  readonly rate: number;
  /** Milliseconds of a run, if each has one row and two engine processes share the work. */
  readonly runMs: number;
  readonly samples: readonly Sample[];
}

/** Measures the goodput of a closed loop. */
export async function measurePeak(port: number, make: MakeWork, connections: number, seconds: number): Promise<Peak> {
  const samples = await runFor(closedLoop({ port, connections, make }), WARM_UP_SECONDS + seconds);
  const rate = goodput(samples, WARM_UP_SECONDS * 1000, (WARM_UP_SECONDS + seconds) * 1000);
  if (rate === 0) throw new Error(`the server has no right response without a disturbance: ${samples[0]?.status}`);
  return { rate, runMs: (ENGINES * 1000) / rate, samples };
}
