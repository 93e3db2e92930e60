import Papa from 'papaparse';
import type { ModelInfo } from './fields.ts';
import { parseJson, toJson } from './json.ts';

/** Most characters of a row, so that a quote that is not closed does not keep the entire file in memory. */
const MAX_ROW = 32 * 2 ** 20;
/** If several separators give the same number of columns, the first of these is used: numbers may have commas, and texts semicolons. */
const SEPARATORS = ['\t', ';', ','];

/** Reads the rows of a CSV file in pieces. */
interface CsvReader {
  /** The rows that are complete with this piece of text. @throws Error for a row of more than 32 MB. */
  push(text: string): string[][];
  /** The last row, if no line break ends it. */
  end(): string[][];
}

/**
 * Creates a reader of CSV (RFC 4180). The first line determines whether commas, semicolons or tabs separate the fields, and how
 * lines end. Empty lines are skipped.
 */
export function createCsvReader(): CsvReader {
  let rest = '';
  let format: Format | undefined;

  function read(isLast: boolean): string[][] {
    if (rest === '' || format === undefined) return [];
    const found: { row: string[]; end: number }[] = [];
    Papa.parse<string[]>(rest, { ...format, step: ({ data, meta }) => found.push({ row: data, end: meta.cursor }) });
    // The next piece may continue the last row.
    if (!isLast) found.pop();
    rest = rest.slice(found.at(-1)?.end ?? 0);
    return found.map(({ row }) => row).filter((row) => row.length > 1 || row[0]!.trim() !== '');
  }

  return {
    push(text) {
      rest += text;
      format ??= formatOf(rest);
      const rows = read(false);
      if (rest.length > MAX_ROW) throw new Error('A row is longer than 32 MB: is a quote left open?');
      return rows;
    },
    end() {
      format ??= formatOf(`${rest}\n\n`);
      return read(true);
    },
  };
}

interface Format {
  readonly delimiter: string;
  readonly newline: '\r' | '\n' | '\r\n';
}

/** The format by the first line that is not empty; undefined if it is incomplete, or ends in a `\r` that may be half of a line break. */
function formatOf(text: string): Format | undefined {
  const unquoted = text.replace(/(^|[,;\t\r\n])"(?:[^"]|"")*(?:"|$)/g, '$1x');
  const found = /^[\r\n]*([^\r\n]+)(\r\n|\n|\r(?=[^\n]))/.exec(unquoted);
  if (found === null) return undefined;
  const { meta } = Papa.parse(found[1]!, { delimitersToGuess: SEPARATORS });
  return { delimiter: meta.delimiter, newline: found[2] as Format['newline'] };
}

type Cell = string | number | bigint | boolean | null | undefined;

/** Writes rows as CSV. A text that a spreadsheet would read as a formula gets an apostrophe before it. */
export function writeCsv(rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return '';
  return `${Papa.unparse(
    rows.map((cells) => cells.map(guard)),
    { newline: '\r\n' },
  )}\r\n`;
}

const guard = (cell: Cell): Cell =>
  typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) && Number.isNaN(Number(cell)) && cell !== '-Infinity'
    ? `'${cell}`
    : cell;

interface Row {
  readonly index: number;
  readonly prediction?: unknown;
  readonly label?: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

/** Most values of an output that has a column for each. */
const COLUMNS = 64;

/** Creates a writer of results as CSV: a row for each line of NDJSON, with a column for each value of a short output. */
export function createResultsCsv({ classes, outputs }: Pick<ModelInfo, 'classes' | 'outputs'>): {
  header(): string;
  rows(ndjson: string): string;
} {
  const columns = outputs.map(({ name, shape }) => {
    const row = shape.slice(1);
    const width = row.length === 1 && row[0]! > 0 && row[0]! <= COLUMNS ? row[0]! : 0;
    const own = (i: number): string => `${name}[${classes?.length === width ? classes[i] : i}]`;
    return { name, width, titles: width === 0 ? [name] : Array.from({ length: width }, (_, i) => own(i)) };
  });
  const cellsOf = ({ index, prediction, label, outputs: given, error }: Row): Cell[] => [
    index,
    plain(prediction),
    ...(classes === undefined ? [] : [label]),
    ...columns.flatMap(({ name, width }) => {
      const value = given?.[name];
      return width === 0 ? [plain(value)] : Array.from({ length: width }, (_, i) => plain((value as unknown[])?.[i]));
    }),
    error?.message,
  ];
  return {
    header: () =>
      writeCsv([
        [
          'index',
          'prediction',
          ...(classes === undefined ? [] : ['label']),
          ...columns.flatMap(({ titles }) => titles),
          'error',
        ],
      ]),
    rows: (ndjson) => {
      const lines = ndjson.split('\n').filter((line) => line !== '');
      return writeCsv(lines.map((line) => cellsOf(parseJson(line) as Row)));
    },
  };
}

const plain = (value: unknown): Cell =>
  typeof value === 'object' && value !== null ? toJson(value) : (value as Exclude<Cell, null>);
