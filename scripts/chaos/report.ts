import { table } from '../bench/table.ts';
import type { Finding } from './fault.ts';

/** What `met` and `MISSED` mean, before the results. */
export function header(quick: boolean): string {
  const form = quick
    ? `The short form: seconds instead of minutes, for machines that are shared. Bars of correctness (no wrong answer, refused, exits 0,
memory bounded) have to be met; bars of speed are printed, and do not fail.`
    : 'Every bar has to be met. Bars of speed assume that nothing else runs on the machine.';
  return `${form}\nGoodput: right 200s a second. Latencies count from the time at which a request was due.`;
}

/** The findings in a table, and how many are missed. */
export function formatFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ fault, bar, seen, verdict }) => [fault, bar, seen, verdict]);
  const count = (verdict: Finding['verdict']): number =>
    findings.filter((finding) => finding.verdict === verdict).length;
  const counts = `${count('met')} met, ${count('MISSED')} missed, ${count('tolerated')} tolerated, ${count('skipped')} skipped`;
  return `${table(['fault', 'bar', 'seen', 'verdict'], rows)}\n\n${findings.length} bars: ${counts}`;
}
