import type { Bar, Spread, Verdict } from './summary.ts';

/** Rows of text in aligned columns: the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const lines = all.map((row) =>
    widths.map((width, i) => (i === 0 ? (row[i] ?? '').padEnd(width) : (row[i] ?? '').padStart(width))).join('  '),
  );
  lines.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  return lines.map((line) => `  ${line.trimEnd()}`).join('\n');
}

/** A number with three significant digits, and all digits of its integer part. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (!Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 3));
}

function withUnit(value: number, unit: string): string {
  return unit === 'x' ? `${value.toFixed(2)}x` : `${figure(value)} ${unit}`.trimEnd();
}

function range(measured: Spread, unit: string): string {
  const median = withUnit(measured.median, unit);
  if (measured.min === measured.max) return median;
  const show = (value: number) => (unit === 'x' ? value.toFixed(2) : figure(value));
  return `${median} (${show(measured.min)} to ${show(measured.max)})`;
}

function limit(bar: Bar): string {
  return `${bar.want === 'at least' ? '>=' : '<='} ${withUnit(bar.limit, bar.unit)}`;
}

function outcome({ met, margin, why, bar }: Verdict): string {
  if (met === undefined) return `not measured: ${why}`;
  const share = bar.limit === 0 ? '' : ` by ${Math.abs(margin * 100).toFixed(0)} %`;
  return met ? `met${share}` : `MISSED${share}`;
}

/** Bars with their figures and outcomes, each on a line. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.workload,
    verdict.bar.of,
    limit(verdict.bar),
    verdict.measured === undefined ? '-' : range(verdict.measured, verdict.bar.unit),
    outcome(verdict),
  ]);
  return table(['workload', 'figure', 'bar', 'measured', 'outcome'], rows);
}
