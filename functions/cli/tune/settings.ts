import type { GivenSettings } from '../../config/settings.ts';

/** What is tuned. */
export interface Settings {
  /** `INFERENCE_PROCESSES`. */
  readonly processes: number;
  /** `INTRA_OP_THREADS`. */
  readonly threads: number;
  /** `MAX_BATCH_SIZE`. */
  readonly batch: number;
  /** `BATCH_DELAY_MS`. */
  readonly delayMs: number;
  /** `WEIGHTS`. */
  readonly weights: 'packed' | 'mapped';
  /** Requests at the same time: `containerConcurrency` of Cloud Run. */
  readonly concurrency: number;
}

/** A part of the settings that the search changes by itself. */
export interface Axis {
  readonly name: string;
  /** The choices that it tries. */
  readonly choices: readonly Partial<Settings>[];
  /** The choices are in an order in which results get better and then worse: the search goes on only in the direction that is better. */
  readonly isOrdered: boolean;
}

/** What decides which settings are worth trying. */
export interface Facts {
  /** CPUs of this machine, or of its quota. */
  readonly cpus: number;
  /** Whether rows of different requests may share a run. */
  readonly joinsRows: boolean;
  /** Whether weights can be mapped. */
  readonly canMap: boolean;
}

const CONCURRENCY = [1, 2, 4, 8, 16, 32, 64, 80, 128, 256];
const BATCHES = [8, 16, 32, 64, 128, 256];
const DELAYS_MS = [0, 1, 2, 5];

/** The settings of a service that sets none, with the concurrency of service.yaml, which is Cloud Run's default. */
export function defaultSettings({ cpus }: Facts): Settings {
  return {
    processes: Math.max(1, Math.floor(cpus)),
    threads: 1,
    batch: 64,
    delayMs: 0,
    weights: 'packed',
    concurrency: 80,
  };
}

/** What the search tries, the settings with the largest effect first. */
export function axesOf({ cpus, joinsRows, canMap }: Facts): Axis[] {
  const most = Math.max(1, Math.floor(cpus));
  const axes: Axis[] = [
    { name: 'concurrency', choices: CONCURRENCY.map((concurrency) => ({ concurrency })), isOrdered: true },
    { name: 'processes and threads', choices: enginesFor(most), isOrdered: false },
  ];
  if (canMap) axes.push({ name: 'weights', choices: [{ weights: 'packed' }, { weights: 'mapped' }], isOrdered: false });
  if (joinsRows) {
    axes.push({ name: 'batch size', choices: BATCHES.map((batch) => ({ batch })), isOrdered: true });
    axes.push({ name: 'batch delay', choices: DELAYS_MS.map((delayMs) => ({ delayMs })), isOrdered: true });
  }
  return axes;
}

/** Engine processes and their threads, from all CPUs for processes to all for threads; and one engine less or more than CPUs. */
function enginesFor(most: number): Pick<Settings, 'processes' | 'threads'>[] {
  const pairs: [processes: number, threads: number][] = [[most, 1]];
  for (let threads = 2; threads <= most; threads *= 2) pairs.push([Math.max(1, Math.floor(most / threads)), threads]);
  pairs.push([1, most], [most + 1, 1]);
  if (most > 1) pairs.push([most - 1, 1]);
  const seen = new Set<string>();
  return pairs
    .filter((pair) => !seen.has(pair.join()) && seen.add(pair.join()))
    .map(([processes, threads]) => ({ processes, threads }));
}

/** The settings of the server, without those of its callers. */
export function variablesOf({ processes, threads, batch, delayMs, weights }: Settings) {
  return {
    INFERENCE_PROCESSES: String(processes),
    INTRA_OP_THREADS: String(threads),
    MAX_BATCH_SIZE: String(batch),
    BATCH_DELAY_MS: String(delayMs),
    WEIGHTS: weights,
  } satisfies GivenSettings;
}

/** Equal for equal settings. */
export const keyOf = (settings: Settings): string => `${serverKeyOf(settings)} ${settings.concurrency}`;
/** Equal for settings of the same server. */
export const serverKeyOf = (settings: Settings): string => Object.values(variablesOf(settings)).join(' ');
