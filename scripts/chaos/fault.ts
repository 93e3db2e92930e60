import type { Random } from '../fuzz/random.ts';
import type { Target, TargetOptions } from './target.ts';

/** One bar of a fault, and what was seen. */
export interface Finding {
  readonly fault: string;
  readonly bar: string;
  readonly seen: string;
  readonly verdict: Verdict;
}

/**
 * `tolerated`: a figure of speed that misses its bar in the short form.
 * `skipped`: it cannot be measured here.
 */
export type Verdict = 'met' | 'MISSED' | 'tolerated' | 'skipped';

/** How the suite is run. */
export interface Scale {
  /** The short form: seconds instead of minutes. */
  readonly quick: boolean;
  readonly seed: number;
  /** Minutes of the soak. */
  readonly minutes: number;
}

/** What a fault runs with. */
export interface Chaos extends Scale {
  /** Random numbers of this fault, the same for the same seed. */
  readonly random: Random;
  /** The folder of `writeChaosModels`. */
  readonly models: string;
  /** A folder for files of this fault. */
  readonly folder: string;
  /** The first value in the full form, the second in the short one. */
  scale(full: number, quick: number): number;
  /** Starts a server that is stopped after the fault. */
  start(options: TargetOptions): Promise<Target>;
  /** The server of several faults: the repository with ECHO behind `/predict`, two engine processes, short time limits. */
  shared(): Promise<Target>;
  /** The settings of the shared server. */
  readonly sharedEnv: Readonly<Record<'REQUEST_TIMEOUT_MS' | 'RUN_TIMEOUT_MS' | 'SHUTDOWN_GRACE_MS', string>>;
  /** Reports a bar of correctness: it fails the suite if it is missed. */
  holds(bar: string, met: boolean, seen: string): void;
  /** Reports a bar of speed: in the short form, it does not fail the suite. */
  compares(bar: string, value: number, limit: Limit, unit?: string): void;
  /** Reports a bar that cannot be measured here. */
  skips(bar: string, why: string): void;
}

export interface Limit {
  readonly want: 'at least' | 'at most';
  readonly than: number;
}

export const atLeast = (than: number): Limit => ({ want: 'at least', than });
export const atMost = (than: number): Limit => ({ want: 'at most', than });

/** A fault: load, a disturbance, and bars. */
export interface Fault {
  readonly name: string;
  readonly title: string;
  run(chaos: Chaos): Promise<void>;
}

/** Compares a figure of speed with its limit. NaN is a miss in both forms; the short form tolerates others, as machines of CI are shared. */
export function judge(value: number, { want, than }: Limit, quick: boolean): Verdict {
  if (want === 'at least' ? value >= than : value <= than) return 'met';
  return quick && !Number.isNaN(value) ? 'tolerated' : 'MISSED';
}
