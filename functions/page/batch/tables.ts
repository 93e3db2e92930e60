import { el } from '../dom.ts';
import { showCounts } from '../result/bars.ts';
import { count, cut } from '../text.ts';
import type { Results, ShownRow } from './results.ts';
import type { Line, Table } from './rows.ts';

/** Columns of a file that are shown; the downloads have all. */
const COLUMNS = 12;
const CELL = 40;

const scrolling = (label: string, ...rows: HTMLElement[]): HTMLElement =>
  el('div', { class: 'scroll tall', tabindex: '0', role: 'region', 'aria-label': label }, el('table', {}, ...rows));

const cellsOf = (cells: readonly string[], columns: number): HTMLElement[] =>
  Array.from({ length: Math.min(columns, COLUMNS) }, (_, i) => el('td', {}, cut(cells[i] ?? '', CELL)));

const rest = ({ names }: Table): string =>
  names.length > COLUMNS ? ` ${count(names.length - COLUMNS)} further columns are not shown.` : '';

/** The first rows of a file, with what each column is for. */
export function showPreview(table: Table, lines: readonly Line[]): Node[] {
  const heads = table.names.slice(0, COLUMNS).map((name, i) => {
    const use = table.uses[i];
    const tag = use === undefined ? el('span', { class: 'tag' }, 'kept') : el('span', { class: 'tag used' }, 'input');
    return el(
      'th',
      { scope: 'col', title: use ?? 'Not for the model: it is kept beside the results' },
      cut(name, CELL),
      tag,
    );
  });
  const kept = table.uses.filter((use) => use === undefined).length;
  const words =
    kept === 0 ? '' : ` ${count(kept)} ${kept === 1 ? 'column is' : 'columns are'} not for the model, and kept.`;
  return [
    el(
      'p',
      { class: 'muted' },
      `The first ${lines.length === 1 ? 'row' : `${lines.length} rows`} of the file.${words}${rest(table)}`,
    ),
    scrolling(
      'The first rows of the file',
      el('thead', {}, el('tr', {}, ...heads)),
      el('tbody', {}, ...lines.map(({ cells }) => el('tr', {}, ...cellsOf(cells, table.names.length)))),
    ),
  ];
}

/** The results of a file: how many there are of each class, failures with their reasons, and the first rows. */
export function showResults({ table, rows, failures, histogram }: Results, failed: number): Node[] {
  const counts = histogram.counts();
  return [
    ...(counts === undefined ? [] : [el('h3', {}, counts.title), showCounts(counts.title, counts.counts)]),
    ...(failed === 0 ? [] : showFailures(failures, failed)),
    el('h3', {}, `The first ${rows.length === 1 ? 'row' : `${count(rows.length)} rows`}`),
    scrolling(
      'The first results',
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col', class: 'number' }, 'Row'),
          el('th', { scope: 'col' }, 'Prediction'),
          ...table.names.slice(0, COLUMNS).map((name) => el('th', { scope: 'col' }, cut(name, CELL))),
        ),
      ),
      el('tbody', {}, ...rows.map((row) => showRow(row, table))),
    ),
  ];
}

const showRow = ({ number, cells, title, reason }: ShownRow, table: Table): HTMLElement =>
  el(
    'tr',
    {},
    el('td', { class: 'number' }, count(number)),
    el(
      'td',
      { class: reason === undefined ? 'outcome' : 'outcome bad' },
      reason === undefined ? cut(title, 80) : 'failed',
    ),
    ...cellsOf(cells, table.names.length),
  );

function showFailures(failures: readonly ShownRow[], failed: number): Node[] {
  const first = failures.length < failed ? `, the first ${failures.length}` : '';
  return [
    el('h3', {}, `${count(failed)} ${failed === 1 ? 'row' : 'rows'} failed${first}`),
    el(
      'ul',
      { class: 'failures scroll', tabindex: '0', 'aria-label': 'Rows that failed' },
      ...failures.map(({ number, reason = '' }) =>
        el('li', {}, el('strong', {}, `Row ${count(number)}`), ` ${cut(reason, 300)}`),
      ),
    ),
  ];
}
