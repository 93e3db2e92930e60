import { formatCount, formatMs, formatNumberOf, formatShare } from '../../terminal/format.ts';
import type { Capacity, Trial } from '../capacity.ts';
import type { ClosedLoop, OpenLoop } from '../generator/generate.ts';
import type { Phase } from '../generator/profile.ts';
import { FAILURES, type FailureKind } from '../http/failure.ts';
import type { ServerFigures } from '../server-metrics.ts';
import type { Verdict } from '../slo.ts';
import { errorsOf, type Latency, type LoadResult } from '../summary.ts';

/** A trial of a search for the capacity. */
export interface RateTrial extends Trial {
  readonly result: LoadResult;
  readonly verdicts: readonly Verdict[];
}

/** What a load test has found. */
export interface Report {
  /** Where the requests went. */
  readonly url: string;
  /** What they were. */
  readonly title: string;
  readonly model: { readonly name: string; readonly version: string | undefined } | undefined;
  /** Seconds. */
  readonly warmUp: number;
  readonly threads: number;
  /** The time of the end, in ISO 8601. */
  readonly at: string;
  readonly loop: ClosedLoop | OpenLoop;
  /** Of a search: the trial at the capacity, or the last one if there is no capacity. */
  readonly result: LoadResult;
  readonly server: ServerFigures | undefined;
  readonly verdicts: readonly Verdict[];
  readonly capacity?: Capacity<RateTrial>;
}

/** The latencies that tables show, with their titles. */
export const LATENCIES: readonly (readonly [keyof Latency, title: string])[] = [
  ['mean', 'mean'],
  ['p50', 'p50'],
  ['p90', 'p90'],
  ['p95', 'p95'],
  ['p99', 'p99'],
  ['p999', 'p99.9'],
  ['max', 'max'],
];

/** The load as a sentence without its dot. */
export function describeLoad({ loop, result: { seconds }, warmUp }: Report): string {
  const lasted = `for ${formatMs(seconds * 1000)}${warmUp === 0 ? '' : `, after ${formatMs(warmUp * 1000)} of warm-up`}`;
  if (loop.kind === 'closed') return `closed loop: ${levels(loop.callers)} connections ${lasted}`;
  const kind = loop.arrivals === 'poisson' ? 'Poisson arrivals' : 'constant arrivals';
  return `open loop: ${levels(loop.rate)} requests per second, ${kind}, ${lasted}`;
}

function levels(phases: readonly Phase[]): string {
  return phases.map(describePhase).join(', ');
}

/** The level of a phase: `100`, `10 to 100`. */
function describePhase({ from, to }: Phase): string {
  return from === to ? formatRate(from) : `${formatRate(from)} to ${formatRate(to)}`;
}

/** A rate, or a number of connections; with a decimal below 10. */
export const formatRate = (level: number): string =>
  level < 10 ? String(Number(level.toFixed(1))) : formatCount(level);

/** The columns of {@link phaseRows}. */
export const PHASE_TITLES = ['level', 'requests', 'ok', 'ok per second', ...LATENCIES.map(([, title]) => title)];

/** The phases of the load, if there are several. */
export function phaseRows({ result: { parts } }: Report): string[][] {
  if (parts.length === 1) return [];
  return parts.map(({ phase, requests, ok, latency }) => [
    describePhase(phase),
    formatCount(requests),
    formatCount(ok),
    formatCount(ok / phase.seconds),
    ...LATENCIES.map(([name]) => formatMs(latency[name])),
  ]);
}

/** An error as a row of a table: what, how many, their part of the requests, and the body of one. */
export function errorRows({ result }: Report): [what: string, count: string, share: string, sample: string][] {
  const rows = errorsOf(result).map(([name, count]): [string, string, string, string] => [
    /^\d/.test(name) ? `status ${name}` : FAILURES[name as FailureKind],
    formatCount(count),
    formatShare(count / Math.max(1, result.requests)),
    result.samples[Number(name)]?.trim().replaceAll(/\s+/g, ' ').slice(0, 160) ?? '',
  ]);
  if (result.wrong > 0)
    rows.push([
      'other values than expected',
      formatCount(result.wrong),
      formatShare(result.wrong / result.requests),
      result.firstWrong ?? '',
    ]);
  return rows;
}

/** The CPU of generator and server, as lines. */
export function cpuLines({ result, server, threads, loop }: Report): string[] {
  const { cores, lateP50, lateP99 } = result.generator;
  const late =
    loop.kind === 'open' ? `; it began requests ${formatMs(lateP50)} late (p50), ${formatMs(lateP99)} (p99)` : '';
  const own = `generator: ${cores.toFixed(2)} cores, in ${formatNumberOf(threads, 'thread')}${late}`;
  if (server === undefined) return [own];
  const { servingCores, engineCores } = server;
  return [
    own,
    `server: ${(servingCores + engineCores).toFixed(2)} cores (serving process ${servingCores.toFixed(2)}, engine processes ${engineCores.toFixed(2)})`,
  ];
}

/** Fewer requests have no 99th percentile that means something. */
const FEW = 200;

/** What the reader has to know before believing the figures. */
export function warnings({ result, loop, threads, capacity, server }: Report): string[] {
  const { cores, lateP99, kept } = result.generator;
  const found: string[] = [];
  if (result.requests > 0 && result.requests < FEW)
    found.push(
      `the 99th percentile of ${formatNumberOf(result.requests, 'request')} is little more than their maximum: give it more --duration`,
    );
  if (!kept && loop.kind === 'open' && lateP99 > 1)
    found.push(
      `the generator itself did not keep its schedule: 1 % of the requests began ${formatMs(lateP99)} late or later, which is part of the latencies`,
    );
  if (!kept && cores > 0.95 * threads)
    found.push('the generator was busy all the time: the figures may be its own limits; give it more --threads');
  if (loop.kind === 'open' && result.waited > 0)
    found.push(
      `${formatNumberOf(result.waited, 'request')} waited for one of the ${formatCount(loop.connections)} connections, which is part of the latencies; --max-connections allows more`,
    );
  if (capacity?.ended === 'generator')
    found.push('the search ended because the generator could not send more: the capacity is at least the rate above');
  if (capacity?.ended === 'time') found.push('the search ended because its time was over: --within gives it more');
  if (server === undefined && capacity === undefined)
    found.push(
      'the stages and the CPU of the server are not known: its /metrics are not those of this server, not shown, or of several instances',
    );
  return found;
}

/** The document of `--json`. */
export function reportJson(report: Report): object {
  const { loop, result, capacity, ...rest } = report;
  const { kind } = loop;
  const { parts, histogram: _, ...figures } = result;
  return {
    ...rest,
    load: kind === 'closed' ? { kind, connections: loop.callers } : { ...loop },
    result: { ...figures, parts: parts.map(({ phase, ...part }) => ({ ...phase, ...part })) },
    ...(capacity !== undefined && {
      capacity: {
        rate: capacity.rate ?? null,
        ended: capacity.ended,
        trials: capacity.trials.map(({ rate, met, result: { latency, errorRate, rate: achieved } }) => ({
          rate,
          met,
          achieved,
          errorRate,
          latency,
        })),
      },
    }),
    warnings: warnings(report),
  };
}
