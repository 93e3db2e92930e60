import type { Result, Verdict } from './run.ts';

const WORDS: Readonly<Record<Verdict, string>> = {
  pass: 'pass',
  fail: 'FAIL',
  unproven: 'not proven',
  cannot: 'cannot',
};
const WIDTH = Math.max(...Object.values(WORDS).map(({ length }) => length));

export const HEAD = `    ${'result'.padEnd(WIDTH)}  check`;

/**
 * A line of the table: number, result, title, and why. Failed assertions follow, each on a line.
 * @param all whether everything that failed is shown, or the first three
 */
export function formatResult({ number, title, verdict, why }: Result, all: boolean): string {
  const lead = `${String(number).padStart(2)}  ${WORDS[verdict].padEnd(WIDTH)}  ${title}`;
  if (verdict === 'pass') return lead;
  if (verdict === 'unproven') return `${lead} (${why.join('; ')})`;
  const [reason, ...rest] = verdict === 'cannot' ? why : [undefined, ...why];
  const shown = all ? rest : rest.slice(0, verdict === 'cannot' ? 0 : 3);
  const more = rest.length - shown.length;
  return [
    reason === undefined ? lead : `${lead} (${reason})`,
    ...shown.map((line) => `    - ${line}`),
    ...(more > 0 && verdict === 'fail' ? [`    and ${more} more: --verbose`] : []),
  ].join('\n');
}

/** The number of checks with each result. */
export function summarize(results: readonly Result[]): string {
  const counts = Object.entries(WORDS).map(([verdict, word]) => {
    const count = results.filter((result) => result.verdict === verdict).length;
    return `${count} ${word.toLowerCase()}`;
  });
  return `${results.length} checks: ${counts.join(', ')}`;
}
