import { costOfMillion, type FullLoad, type Way } from '../prices/cost.ts';
import { INSTANCE_SIZES } from '../prices/instance-sizes.ts';
import type { Prices } from '../prices/prices.ts';
import type { Settings } from './settings.ts';

/** The result of one load with some settings. */
export interface Sample {
  /** Predictions a second. */
  readonly rate: number;
  readonly p99Ms: number;
  /** Bytes of memory that the server and its engine processes had after the load. */
  readonly memoryBytes: number;
  /** Part of the requests that failed, 0 to 1. */
  readonly errorRate: number;
  /** Cores that the load generator used. */
  readonly generatorCores: number;
}

/** What some settings give: medians of their samples. */
export interface Point {
  readonly settings: Settings;
  readonly samples: readonly Sample[];
  readonly rate: number;
  readonly p99Ms: number;
  readonly memoryBytes: number;
  /** Bytes of memory that an instance for it needs. */
  readonly instanceBytes: number;
  /** US dollars for a million predictions. */
  readonly cost: Readonly<Record<Way, number>>;
  /** Why the settings are not to be used; undefined: they are. */
  readonly fault: string | undefined;
}

/** By what settings are compared. */
export interface Goal {
  readonly prices: Prices;
  readonly cpus: number;
  /** The bill that is to be low. */
  readonly way: Way;
  /** The highest p99 that is allowed. */
  readonly p99Ms: number | undefined;
  /** Bytes of memory that the server takes into account for these settings: with less it starts fewer engine processes. Default: 0. */
  readonly leastBytes?: (settings: Settings) => number;
}

/** Costs that differ by less are equal: two runs of one setting do. */
export const NOISE = 0.03;
/** At equal cost, a latency must be lower by this part to be better. */
const LATENCY_GAIN = 0.15;
const MOST_ERRORS = 0.001;
const GIB = 2 ** 30;
/** Memory of an instance above what was measured: requests with larger bodies, and growth. */
const HEADROOM = 1.3;
const STEP_BYTES = 2 ** 27;

/** The medians of the samples of some settings, and what they cost. */
export function pointOf(settings: Settings, samples: readonly Sample[], goal: Goal): Point {
  const middle = (pick: (sample: Sample) => number): number => median(samples.map(pick));
  const [rate, p99Ms] = [middle((one) => one.rate), middle((one) => one.p99Ms)];
  const memoryBytes = middle((one) => one.memoryBytes);
  const instanceBytes = instanceMemory(memoryBytes, goal.cpus, goal.leastBytes?.(settings));
  const load: FullLoad = { rate, cpu: goal.cpus, memoryGiB: instanceBytes / GIB };
  const errors = middle((one) => one.errorRate);
  const fault = findFault(rate, p99Ms, errors, goal) ?? findExcess(instanceBytes, goal);
  return { settings, samples, rate, p99Ms, memoryBytes, instanceBytes, cost: costOfMillion(load, goal.prices), fault };
}

function findFault(rate: number, p99Ms: number, errors: number, goal: Goal): string | undefined {
  if (errors > MOST_ERRORS) return `${(errors * 100).toFixed(1)} % of the requests failed`;
  if (rate === 0) return 'no request was answered';
  if (goal.p99Ms !== undefined && p99Ms > goal.p99Ms) return `p99 is above ${goal.p99Ms} ms`;
  return undefined;
}

/** Why Cloud Run has no such instance; undefined if it has, or is not what is to be cheap. */
function findExcess(instanceBytes: number, { cpus, way }: Goal): string | undefined {
  const most = INSTANCE_SIZES.find(([cpu]) => cpu === cpus)?.[2];
  if (!way.startsWith('cloudRun') || most === undefined || instanceBytes <= most * GIB) return undefined;
  return `Cloud Run gives an instance of ${cpus} CPUs at most ${most} GiB of memory`;
}

/**
 * The memory of an instance: at least what Cloud Run gives one with so many CPUs.
 * @param bytes that were measured
 * @param leastBytes that the server needs for its engine processes by its own reckoning
 */
export function instanceMemory(bytes: number, cpus: number, leastBytes = 0): number {
  const [, least] = INSTANCE_SIZES.findLast(([cpu]) => cpu <= cpus) ?? INSTANCE_SIZES[0]!;
  return Math.max(least * GIB, Math.ceil(Math.max(bytes * HEADROOM, leastBytes) / STEP_BYTES) * STEP_BYTES);
}

/**
 * Whether `a` is better than `b`: it may be used, and costs less; or about the same with a lower latency. Of two that may not be used,
 * that with the lower latency.
 */
export function isBetter(a: Point, b: Point, { way }: Pick<Goal, 'way'>): boolean {
  if ((a.fault === undefined) !== (b.fault === undefined)) return a.fault === undefined;
  if (a.fault !== undefined) return a.p99Ms < b.p99Ms * (1 - NOISE);
  const ratio = a.cost[way] / b.cost[way];
  if (ratio < 1 - NOISE) return true;
  return ratio <= 1 + NOISE && a.p99Ms < b.p99Ms * (1 - LATENCY_GAIN);
}

/** The best first, where {@link isBetter} says so; the others by cost. */
export function rank(points: readonly Point[], goal: Pick<Goal, 'way'>): Point[] {
  const byCost = points.toSorted((a, b) => a.cost[goal.way] - b.cost[goal.way]);
  const ranked: Point[] = [];
  for (const point of byCost) {
    const at = ranked.findIndex((other) => isBetter(point, other, goal));
    ranked.splice(at === -1 ? ranked.length : at, 0, point);
  }
  return ranked;
}

/** The points to which no other one is at least equal in rate, p99 and memory, and better in one. The highest rate first. */
export function paretoFront(points: readonly Point[]): Point[] {
  const usable = points.filter(({ fault }) => fault === undefined);
  const isWorse = (a: Point, b: Point): boolean =>
    b.rate >= a.rate &&
    b.p99Ms <= a.p99Ms &&
    b.instanceBytes <= a.instanceBytes &&
    (b.rate > a.rate || b.p99Ms < a.p99Ms || b.instanceBytes < a.instanceBytes);
  return usable.filter((a) => !usable.some((b) => isWorse(a, b))).sort((a, b) => b.rate - a.rate);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
