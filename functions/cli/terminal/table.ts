import { stripVTControlCharacters } from 'node:util';

/** A column of a table. A title alone is a column that is aligned to the left. */
export type Column = string | { readonly title: string; readonly align: 'left' | 'right' };

interface TableOptions {
  /** Spaces in front of each line. Default: 2. */
  readonly indent?: number;
  /** Applied to the titles, once they are aligned. */
  readonly styleTitle?: (title: string) => string;
}

const GAP = '  ';

/**
 * The lines of a table whose columns are aligned: the titles, unless all are empty, then a line for each row. Cells may be styled.
 * @param rows the cells of each; missing ones are empty
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { indent = 2, styleTitle = (title) => title }: TableOptions = {},
): string[] {
  const parts = columns.map((column) => (typeof column === 'string' ? { title: column, align: 'left' } : column));
  const titles = parts.map(({ title }) => title);
  const hasTitles = titles.some((title) => title !== '');
  const widths = parts.map((_, at) => Math.max(...[titles, ...rows].map((row) => widthOf(row[at] ?? ''))));
  const line = (row: readonly string[], style = (cell: string) => cell): string => {
    const cells = parts.map(({ align }, at) => {
      const cell = row[at] ?? '';
      const padding = ' '.repeat(widths[at]! - widthOf(cell));
      return align === 'right' ? `${padding}${style(cell)}` : `${style(cell)}${padding}`;
    });
    return `${' '.repeat(indent)}${cells.join(GAP)}`.trimEnd();
  };
  return [...(hasTitles ? [line(titles, styleTitle)] : []), ...rows.map((row) => line(row))];
}

const widthOf = (cell: string): number => [...stripVTControlCharacters(cell)].length;
