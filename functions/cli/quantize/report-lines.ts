import type { Comparison } from '../compare/compare-models.ts';
import { formatBytes, formatNumberOf, printable } from '../terminal/format.ts';
import { table } from '../terminal/table.ts';
import type { ModeReport, ReportedNode } from './mode.ts';
import type { QuantizedModel } from './quantize-model.ts';

/** Nodes that are named for a reason; the rest is a number. */
const MOST_NAMES = 3;

/** What a mode did, as lines for a person. */
export function reportLines({ changed, kept, notes }: ModeReport): string[] {
  const operators = Map.groupBy(changed, ({ operator, by }) => (operator === by ? operator : `${operator} → ${by}`));
  const reasons = Map.groupBy(kept, ({ operator, reason }) => `${operator}: ${genericReason(reason)}`);
  return [
    'changed:',
    ...table(
      ['', ''],
      [...operators].map(([title, nodes]) => [title, formatNumberOf(nodes.length, 'node')]),
    ),
    ...(reasons.size === 0 ? [] : ['stay as they are:']),
    ...[...reasons].map(([title, nodes]) => `  ${title} (${namesOf(nodes)})`),
    ...notes.map((note) => `note: ${printable(note)}`),
  ];
}

/** A reason without the name of the value, so that equal ones are counted together. */
function genericReason(reason: string): string {
  return printable(reason.replace(/^its (input|weight) \S+ /, 'its $1 '));
}

function namesOf(nodes: readonly ReportedNode[]): string {
  const names = nodes.slice(0, MOST_NAMES).map(({ name }) => printable(name || 'without a name'));
  return nodes.length > MOST_NAMES ? `${names.join(', ')} and ${nodes.length - MOST_NAMES} more` : names.join(', ');
}

/** The files of the result. */
export function writtenLine({ written }: QuantizedModel): string {
  return `wrote ${written.files.map(printable).join(' and ')} (${formatBytes(written.bytes)})`;
}

/** What to do about rows that the server no longer joins; undefined if it does, or did not before. */
export function joiningAdvice({ original, result }: Comparison, mode: string): string | undefined {
  if (!original.joining.enabled || result.joining.enabled || mode !== 'dynamic') return undefined;
  return 'The server runs rows of different requests one at a time then. To join them, use --mode static, whose scales are constants.';
}

/** The report as `--json` has it: nodes are counted by operator. */
export function reportJson({ changed, kept, notes }: ModeReport) {
  const operators = Map.groupBy(changed, ({ operator, by }) => `${operator}\n${by}`);
  return {
    changed: [...operators.values()].map((nodes) => ({
      operator: nodes[0]!.operator,
      by: nodes[0]!.by,
      nodes: nodes.length,
    })),
    kept,
    notes,
  };
}
