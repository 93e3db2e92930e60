import { formatCount, formatMs, formatShare, printable } from '../../terminal/format.ts';
import type { Styles } from '../../terminal/styles.ts';
import { type Column, table } from '../../terminal/table.ts';
import { formatFigure, formatObjective } from '../slo.ts';
import type { Latency } from '../summary.ts';
import {
  cpuLines,
  describeLoad,
  errorRows,
  formatRate,
  LATENCIES,
  PHASE_TITLES,
  phaseRows,
  type RateTrial,
  type Report,
  warnings,
} from './report.ts';

const right = (title: string): Column => ({ title, align: 'right' });
const ERRORS_SHOWN = 8;

/** The report as lines for a terminal. @param html the file of the other report */
export function textReport(report: Report, styles: Styles, html?: string): string[] {
  const { result, capacity, verdicts } = report;
  const { bold, dim, yellow } = styles;
  const headed = (title: string, lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : ['', bold(title), ...lines];
  const draw = (columns: readonly Column[], rows: readonly (readonly string[])[]): string[] =>
    rows.length === 0 ? [] : table(columns, rows, { styleTitle: dim });
  const offered = result.offered === undefined ? '' : ` of ${formatRate(result.offered)}`;
  return [
    bold(report.url),
    `  ${printable(report.title)}`,
    `  ${describeLoad(report)}`,
    ...(capacity === undefined ? [] : headed('Capacity', capacityLines(report, styles))),
    ...headed(capacity === undefined ? 'Requests' : `Requests at ${formatRate(capacity.best.rate)} per second`, [
      ...draw(
        [right('requests'), right('ok'), right('errors'), right('ok per second')],
        [
          [
            formatCount(result.requests),
            formatCount(result.ok),
            formatShare(result.errorRate),
            `${formatRate(result.rate)}${offered}`,
          ],
        ],
      ),
    ]),
    ...headed(
      'Latency',
      draw(
        LATENCIES.map(([, title]) => right(title)),
        [latencyCells(result.latency)],
      ),
    ),
    ...headed(
      'Errors',
      draw(
        ['', right('count'), right('of all'), 'the first'],
        errorRows(report)
          .slice(0, ERRORS_SHOWN)
          .map((row) => row.map(printable)),
      ),
    ),
    ...headed(
      'Phases',
      draw(
        PHASE_TITLES.map((title, i) => (i === 0 ? title : right(title))),
        phaseRows(report),
      ),
    ),
    ...headed('Stages of the server', draw(['', right('mean'), right('p50'), right('p99')], stageRows(report))),
    ...headed(
      'CPU',
      cpuLines(report).map((line) => `  ${line}`),
    ),
    ...headed(
      'Objectives',
      draw(
        ['', right('measured'), ''],
        verdicts.map((verdict) => [
          formatObjective(verdict),
          formatFigure(verdict.figure, verdict.measured),
          verdict.met ? styles.green('met') : styles.red('missed'),
        ]),
      ),
    ),
    ...warnings(report).flatMap((line, i) => [...(i === 0 ? [''] : []), yellow(`! ${line}`)]),
    ...(html === undefined ? [] : ['', `report: ${printable(html)}`]),
  ];
}

const latencyCells = (latency: Latency): string[] => LATENCIES.map(([name]) => formatMs(latency[name]));

/** The stages of the server, as rows of a table. */
export function stageRows({ server }: Report): string[][] {
  return (server?.stages ?? []).map(({ name, mean, p50, p99 }) => [name, ...[mean, p50, p99].map(formatMs)]);
}

/** The trials of a search, by their rates: titles and rows of a table. It has the figures of the objectives. */
export function trialTable(trials: readonly RateTrial[]): { titles: string[]; rows: string[][] } {
  const own = trials[0]!.verdicts.map(({ figure }) => figure);
  const shown = LATENCIES.filter(([name]) => name === 'p50' || name === 'p99' || own.includes(name));
  const rows = trials
    .toSorted((a, b) => a.rate - b.rate)
    .map(({ rate, met, result: { latency, errorRate, rate: achieved } }) => [
      formatRate(rate),
      formatRate(achieved),
      ...shown.map(([name]) => formatMs(latency[name])),
      formatFigure('errors', errorRate),
      met ? 'met' : 'missed',
    ]);
  const titles = ['requests per second', 'ok per second', ...shown.map(([, title]) => title), 'errors', 'objectives'];
  return { titles, rows };
}

function capacityLines({ capacity, verdicts }: Report, { green, red, bold }: Styles): string[] {
  const { rate, trials } = capacity!;
  const objectives = verdicts.map(formatObjective).join(', ');
  const found =
    rate === undefined
      ? red(`no rate meets ${objectives}`)
      : `${bold(green(`${formatRate(rate)} requests per second`))} meet ${objectives}`;
  const { titles, rows } = trialTable(trials);
  const styled = rows.map((row) => [...row.slice(0, -1), row.at(-1) === 'met' ? green('met') : red('missed')]);
  const columns = titles.map((title, i) => (i < titles.length - 1 ? right(title) : title));
  return [`  ${found}`, '', ...table(columns, styled)];
}
