import { formatCount, formatMs } from '../../terminal/format.ts';
import type { LoadResult } from '../summary.ts';
import { escapeHtml } from './escape-html.ts';
import { formatRate, type RateTrial } from './report.ts';

const [WIDTH, HEIGHT] = [720, 240];
const PLOT = { left: 64, right: WIDTH - 16, top: 16, bottom: HEIGHT - 40 };
const BARS = 48;
const TICKS = 4;

/** A position on an axis, 0 to 1, with its text. */
type Tick = readonly [part: number, text: string];

const x = (part: number): string => (PLOT.left + part * (PLOT.right - PLOT.left)).toFixed(1);
const y = (part: number): string => (PLOT.bottom - part * (PLOT.bottom - PLOT.top)).toFixed(1);

/** The latencies: requests by latency, on a logarithmic axis, with the percentiles as lines. */
export function latencyChart({ histogram, latency }: LoadResult): string {
  if (histogram.length === 0) return '';
  const [low, high] = [histogram[0]![0], Math.max(latency.max, histogram.at(-1)![0])].map((ms) =>
    Math.log10(Math.max(ms, 1e-3)),
  ) as [number, number];
  const from = Math.floor(low * 4) / 4;
  const to = Math.max(from + 0.25, Math.ceil(high * 4) / 4);
  const part = (ms: number): number => (Math.log10(Math.max(ms, 1e-3)) - from) / (to - from);
  const counts = new Array<number>(BARS).fill(0);
  for (const [ms, count] of histogram) counts[Math.min(BARS - 1, Math.max(0, Math.floor(part(ms) * BARS)))]! += count;
  const most = axisEnd(Math.max(...counts));
  const bars = counts.map((count, i) => {
    if (count === 0) return '';
    const edge = (at: number): string => formatMs(10 ** (from + (at / BARS) * (to - from)));
    const title = `${edge(i)} to ${edge(i + 1)}: ${formatCount(count)}`;
    const top = Math.max(count / most, 0.004);
    return `<rect class="bar" x="${x((i + 0.06) / BARS)}" y="${y(top)}" width="${((0.88 / BARS) * (PLOT.right - PLOT.left)).toFixed(1)}" height="${(Number(y(0)) - Number(y(top))).toFixed(1)}"><title>${title}</title></rect>`;
  });
  const marks = (['p50', 'p99'] as const).map((name) => {
    const at = x(part(latency[name]));
    return `<line class="mark" x1="${at}" y1="${y(1)}" x2="${at}" y2="${y(0)}"/><text class="mark" x="${at}" y="${PLOT.top - 4}" text-anchor="middle">${name}</text>`;
  });
  const decades = Array.from({ length: Math.floor(to) - Math.ceil(from) + 1 }, (_, i) => 10 ** (Math.ceil(from) + i));
  const ticks = (decades.length > 1 ? decades : [10 ** from, 10 ** ((from + to) / 2), 10 ** to]).map(
    (ms): Tick => [part(ms), formatMs(ms)],
  );
  return chart('Requests by latency', axes(ticks, scale(most)) + bars.join('') + marks.join(''));
}

/** Responses per second over time: those that are ok, and other outcomes. */
export function throughputChart({ bins, seconds }: LoadResult): string {
  const perSecond = (values: readonly number[]): number[] => values.map((count) => count / bins.seconds);
  const [ok, failed] = [perSecond(bins.ok), perSecond(bins.failed)];
  const most = axisEnd(Math.max(...ok, ...failed));
  const point = (value: number, i: number, all: readonly number[]): string =>
    `${x((i + 0.5) / all.length)},${y(value / most)}`;
  const line = (values: readonly number[], name: string): string =>
    `<polyline class="${name}" points="${values.map(point).join(' ')}"/>`;
  const ticks = Array.from({ length: TICKS + 1 }, (_, i): Tick => [i / TICKS, timeText((seconds * 1000 * i) / TICKS)]);
  const lines = line(ok, 'ok') + (failed.some((value) => value > 0) ? line(failed, 'failed') : '');
  return chart('Responses per second over time', axes(ticks, scale(most)) + lines);
}

/** The 99th percentile of each trial of a search, by its rate. */
export function trialChart(trials: readonly RateTrial[]): string {
  const sorted = trials.toSorted((a, b) => a.rate - b.rate);
  const mostRate = axisEnd(sorted.at(-1)!.rate);
  const most = axisEnd(Math.max(...sorted.map(({ result }) => result.latency.p99), 1e-3));
  const dots = sorted.map(
    ({ rate, met, result: { latency } }) =>
      `<circle class="${met ? 'ok' : 'failed'}" cx="${x(rate / mostRate)}" cy="${y(latency.p99 / most)}" r="4"><title>${formatRate(rate)} per second: p99 ${formatMs(latency.p99)}</title></circle>`,
  );
  const ticks = Array.from({ length: TICKS + 1 }, (_, i): Tick => [i / TICKS, formatCount((mostRate * i) / TICKS)]);
  const levels = Array.from({ length: TICKS + 1 }, (_, i): Tick => [i / TICKS, timeText((most * i) / TICKS)]);
  return chart('99th percentile by requests per second', axes(ticks, levels) + dots.join(''));
}

const scale = (most: number): Tick[] =>
  Array.from({ length: TICKS + 1 }, (_, i) => [i / TICKS, formatCount((most * i) / TICKS)]);

/** The smallest end of an axis from 0 whose ticks are 1, 2 or 5 times a power of ten. @param most the value that it has to show */
function axisEnd(most: number): number {
  const least = Math.max(most / TICKS, 1);
  const power = 10 ** Math.floor(Math.log10(least));
  return TICKS * ([1, 2, 5].find((step) => step * power >= least) ?? 10) * power;
}

/** A time on an axis: 0 has no unit that would fit the others. */
const timeText = (ms: number): string => (ms === 0 ? '0' : formatMs(ms));

function axes(bottom: readonly Tick[], left: readonly Tick[]): string {
  const horizontal = left.map(
    ([part, text]) =>
      `<line class="grid" x1="${PLOT.left}" y1="${y(part)}" x2="${PLOT.right}" y2="${y(part)}"/><text x="${PLOT.left - 6}" y="${(Number(y(part)) + 4).toFixed(1)}" text-anchor="end">${escapeHtml(text)}</text>`,
  );
  const vertical = bottom.map(
    ([part, text]) =>
      `<text x="${x(part)}" y="${PLOT.bottom + 18}" text-anchor="${part > 0.97 ? 'end' : 'middle'}">${escapeHtml(text)}</text>`,
  );
  return horizontal.join('') + vertical.join('');
}

function chart(title: string, content: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(title)}">${content}</svg>`;
}
