import { formatCount, formatMs, formatShare } from '../terminal/format.ts';
import type { Latency, LoadResult } from './summary.ts';

/** A limit for a figure of a load. */
export interface Objective {
  readonly figure: keyof Latency | 'errors' | 'rate';
  /** Milliseconds, a part of all requests, or requests per second, which are a minimum. */
  readonly limit: number;
}

/** An objective with what was measured. */
export interface Verdict extends Objective {
  readonly measured: number;
  readonly met: boolean;
}

const LATENCIES: readonly string[] = ['mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'max'] satisfies (keyof Latency)[];
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };
export const SLO_TAKES =
  'It takes objectives with commas between them: p50, p90, p95, p99, p999, mean or max as in p99=50ms, errors=0.1%, rate=1000.';

/** Parses `p99=50ms,errors=0.1%,rate=1000`. @returns undefined if a part has another form, or a figure occurs twice */
export function parseSlo(text: string): readonly Objective[] | undefined {
  const objectives = text.split(',').map((part) => parseObjective(part.trim()));
  if (!objectives.every((one) => one !== undefined)) return undefined;
  return new Set(objectives.map(({ figure }) => figure)).size === objectives.length ? objectives : undefined;
}

function parseObjective(text: string): Objective | undefined {
  const [, figure, number, unit] = /^(\w+)\s*=\s*(\d+(?:\.\d+)?)\s*(us|ms|s|%|)$/.exec(text) ?? [];
  const value = Number(number);
  if (figure === undefined) return undefined;
  if (figure === 'errors' && (unit === '%' || (unit === '' && value === 0)) && value <= 100)
    return { figure, limit: value / 100 };
  if (figure === 'rate' && unit === '' && value > 0) return { figure, limit: value };
  if (LATENCIES.includes(figure) && UNITS[unit!] !== undefined && value > 0)
    return { figure: figure as keyof Latency, limit: value * UNITS[unit!]! };
  return undefined;
}

/** Compares a result with objectives. Latencies without a successful request meet none. */
export function judge(objectives: readonly Objective[], result: LoadResult): Verdict[] {
  return objectives.map((objective) => {
    const { figure, limit } = objective;
    if (figure === 'rate') return { ...objective, measured: result.rate, met: result.rate >= limit };
    if (figure === 'errors')
      return { ...objective, measured: result.errorRate, met: result.requests > 0 && result.errorRate <= limit };
    const measured = result.latency[figure];
    return { ...objective, measured, met: result.ok > 0 && measured <= limit };
  });
}

/** The value of an objective's figure, as text with its unit. */
export function formatFigure(figure: Objective['figure'], value: number): string {
  if (figure === 'errors')
    return value > 0 && value < 0.0005 ? `${(value * 100).toPrecision(2)} %` : formatShare(value);
  return figure === 'rate' ? `${formatCount(value)} per second` : formatMs(value);
}

/** An objective as text: `p99 ≤ 50 ms`. */
export function formatObjective({ figure, limit }: Objective): string {
  return `${figure} ${figure === 'rate' ? '≥' : '≤'} ${formatFigure(figure, limit)}`;
}
