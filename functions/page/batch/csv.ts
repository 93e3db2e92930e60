import { toJson } from '../json.ts';
import type { ModelInfo } from '../model.ts';

/** Most characters of a row, so that a quote that is not closed does not keep the entire file in memory. */
const MAX_ROW = 32 * 2 ** 20;
/** If several separators give the same number of columns, the first of these is used: numbers may have commas, and texts semicolons. */
const SEPARATORS = ['\t', ';', ','];
/** Most characters by which the separator is chosen. */
const MAX_HEAD = 2 ** 20;

/** Reads the rows of a CSV file in pieces. */
interface CsvReader {
  /** The rows that are complete with this piece of text. @throws Error for a row of more than 32 MB. */
  push(text: string): string[][];
  /** The last row, if no line break ends it. */
  end(): string[][];
}

/**
 * Creates a reader of CSV (RFC 4180). The first line determines whether commas, semicolons or tabs separate the fields. Lines end in
 * any way; empty ones are skipped. It takes linear time, however the text is cut.
 */
export function createCsvReader(): CsvReader {
  /** The text before its first line is complete. */
  let head: string | undefined = '';
  let separator = ',';
  let row: string[] = [];
  let cell = '';
  /** `opening`: at the start of a field; `closing`: after a quote within quotes, which ends them unless another follows. */
  let state: 'opening' | 'plain' | 'quoted' | 'closing' = 'opening';
  let pending = 0;

  function read(text: string): string[][] {
    const rows: string[][] = [];
    const isMark = (mark: string | undefined): boolean => mark === separator || mark === '\n' || mark === '\r';
    let rowStart = 0;
    for (let i = 0; i < text.length; i++) {
      const from = i;
      if (state === 'quoted') {
        const end = text.indexOf('"', i);
        i = end === -1 ? text.length : end;
        cell += text.slice(from, i);
        if (end !== -1) state = 'closing';
      } else if (text[i] === '"' && (state === 'opening' || state === 'closing')) {
        if (state === 'closing') cell += '"';
        state = 'quoted';
      } else if (isMark(text[i])) {
        row.push(cell);
        cell = '';
        state = 'opening';
        if (text[i] === separator) continue;
        if (row.length > 1 || row[0]!.trim() !== '') rows.push(row);
        row = [];
        rowStart = i + 1;
        pending = 0;
      } else {
        while (i + 1 < text.length && !isMark(text[i + 1])) i++;
        cell += text.slice(from, i + 1);
        state = 'plain';
      }
    }
    pending += text.length - rowStart;
    if (pending > MAX_ROW) throw new Error('A row is longer than 32 MB: is a quote left open?');
    return rows;
  }

  function start(text: string): string[][] {
    head = undefined;
    separator = separatorOf(text);
    return read(text);
  }

  return {
    push(text) {
      if (head === undefined) return read(text);
      head += text;
      return head.length > MAX_HEAD || /[^\r\n][\r\n]/.test(withoutQuotes(head)) ? start(head) : [];
    },
    end() {
      const rows = head === undefined ? [] : start(head);
      return [...rows, ...read('\n')];
    },
  };
}

/** The text with an x in the place of each quoted field. */
const withoutQuotes = (text: string): string => text.replace(/(^|[,;\t\r\n])"(?:[^"]|"")*(?:"|$)/g, '$1x');

/** The separator that the first line has most of. */
function separatorOf(text: string): string {
  const line = /[^\r\n]+/.exec(withoutQuotes(text))?.[0] ?? '';
  const counts = SEPARATORS.map((mark) => line.split(mark).length);
  const most = Math.max(...counts);
  return most === 1 ? ',' : SEPARATORS[counts.indexOf(most)]!;
}

export type Cell = string | number | bigint | boolean | null | undefined;

/** Writes rows as CSV (RFC 4180). A text that a spreadsheet would read as a formula gets an apostrophe before it. */
export function writeCsv(rows: readonly (readonly Cell[])[]): string {
  return rows.map((cells) => `${cells.map(write).join(',')}\r\n`).join('');
}

function write(cell: Cell): string {
  const text = String(guard(cell) ?? '');
  return /[",;\t\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const guard = (cell: Cell): Cell =>
  typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) && cell !== '-Infinity'
    ? `'${cell}`
    : cell;

/** A line of the results. */
export interface ResultRow {
  readonly index: number;
  readonly prediction?: unknown;
  readonly label?: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string; readonly path?: string };
}

/** Most values of an output that has a column for each. */
const COLUMNS = 64;

/** Writes results as CSV: the columns of the file, then a column for each value of a short output. */
export interface ResultsCsv {
  header(): string;
  /** @param cells the row in the file. @param reason why it failed. */
  row(result: ResultRow, cells: readonly string[], reason: string | undefined): readonly Cell[];
}

/** Creates a writer of results. @param columns the names of the file's columns. */
export function createResultsCsv(
  { classes, outputs }: Pick<ModelInfo, 'classes' | 'outputs'>,
  columns: readonly string[],
): ResultsCsv {
  const shown = outputs.map(({ name, shape }) => {
    const row = shape.slice(1);
    const width = row.length === 1 && row[0]! > 0 && row[0]! <= COLUMNS ? row[0]! : 0;
    const own = (i: number): string => `${name}[${classes?.length === width ? classes[i] : i}]`;
    return { name, width, titles: width === 0 ? [name] : Array.from({ length: width }, (_, i) => own(i)) };
  });
  const results = [
    'prediction',
    ...(classes === undefined ? [] : ['label']),
    ...shown.flatMap(({ titles }) => titles),
    'error',
  ];
  // A column of the file keeps its place, and loses its name to a result.
  const own = columns.map((name) => (name === 'index' || results.includes(name) ? `${name} (file)` : name));
  return {
    header: () => writeCsv([['index', ...own, ...results]]),
    row: ({ index, prediction, label, outputs: given }, cells, reason) => [
      index,
      ...columns.map((_, i) => cells[i]),
      plain(prediction),
      ...(classes === undefined ? [] : [label]),
      ...shown.flatMap(({ name, width }) => {
        const value = given?.[name];
        return width === 0 ? [plain(value)] : Array.from({ length: width }, (_, i) => plain((value as unknown[])?.[i]));
      }),
      reason,
    ],
  };
}

const plain = (value: unknown): Cell =>
  typeof value === 'object' && value !== null ? toJson(value) : (value as Exclude<Cell, null>);
