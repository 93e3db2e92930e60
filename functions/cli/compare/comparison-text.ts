import { formatBytes, formatCount, formatMs, formatNumberOf, formatShare } from '../terminal/format.ts';
import { type Column, table } from '../terminal/table.ts';
import type { Comparison } from './compare-models.ts';
import type { OutputDifference } from './differences.ts';

const right = (title: string): Column => ({ title, align: 'right' });
const FIGURES: readonly Column[] = ['', right('original'), right('result'), ''];
const DIFFERENCES: readonly Column[] = ['output', right('largest difference'), right('mean'), right('relative'), ''];

/** A comparison as lines for a person: size and run time before and after, classes, differences, and whether rows are joined. */
export function comparisonLines(comparison: Comparison): string[] {
  const { rows, agreement, outputs, missing, original, result } = comparison;
  const figures = [
    ['size', formatBytes(original.bytes), formatBytes(result.bytes), `${ratio(result.bytes, original.bytes)} x`],
    ['run of a row', formatMs(original.runMs), formatMs(result.runMs), speedUp(original.runMs, result.runMs)],
  ];
  return [
    `compared over ${formatNumberOf(rows, 'row')}:`,
    ...table(FIGURES, figures),
    '',
    ...table(DIFFERENCES, outputs.map(differenceCells)),
    ...missing.map((output) => `  the result has no output ${output}`),
    '',
    ...(agreement === undefined ? [] : [agreementLine(agreement)]),
    joiningLine(comparison),
  ];
}

function agreementLine({ output, equal, of, share }: NonNullable<Comparison['agreement']>): string {
  return `the same class for ${formatCount(equal)} of ${formatNumberOf(of, 'row')} (${formatShare(share)}), by output ${output}`;
}

/** Whether the server joins rows of the result, with the reason if it does not. */
function joiningLine({ original, result }: Comparison): string {
  const { enabled, reason } = result.joining;
  if (enabled) return `rows of different requests share a run: ${reason}`;
  return `rows of different requests ${original.joining.enabled ? 'no longer ' : 'do not '}share a run: ${reason}`;
}

function differenceCells({ output, difference, elements, unequal, otherShapes }: OutputDifference): string[] {
  const note = otherShapes > 0 ? `another shape for ${formatNumberOf(otherShapes, 'row')}` : '';
  if (difference !== undefined) {
    const { largest, mean, meanRelative } = difference;
    return [output, digits(largest), digits(mean), digits(meanRelative), note];
  }
  return [output, `${formatCount(unequal)} of ${formatCount(elements)} differ`, '', '', note];
}

function speedUp(before: number, after: number): string {
  return after <= before ? `${ratio(before, after)} x as fast` : `${ratio(after, before)} x as long`;
}

/** Two digits after the point, three below 1. */
function ratio(a: number, b: number): string {
  const value = a / Math.max(b, Number.MIN_VALUE);
  return value.toFixed(value < 1 ? 3 : 2);
}

/** Three significant digits. */
function digits(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : 'not finite';
}
