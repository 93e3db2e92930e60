import Papa from 'papaparse';
import type { ModelInfo } from './fields.ts';
import { parseJson, toJson } from './json.ts';

/** A quote that is never closed must not gather a whole file. */
const MAX_ROW = 32 * 2 ** 20;
/** Of as many columns by the first line, the first of these: numbers may have commas, and texts semicolons. */
const SEPARATORS = ['\t', ';', ','];

export interface CsvReader {
  /** The rows that a piece of text completes. */
  push(text: string): string[][];
  /** The last row, where no line break ends it. */
  end(): string[][];
}

/**
 * Reads CSV (RFC 4180) a piece at a time. The first line says whether commas, semicolons or tabs separate the fields, and how
 * lines end. Empty lines are left out.
 */
export function createCsvReader(): CsvReader {
  let rest = '';
  let format: Format | undefined;

  function read(isLast: boolean): string[][] {
    if (rest === '' || format === undefined) return [];
    const found: { row: string[]; end: number }[] = [];
    Papa.parse<string[]>(rest, { ...format, step: ({ data, meta }) => found.push({ row: data, end: meta.cursor }) });
    // More text may continue the last one.
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

/** By the first line that is not empty; undefined where it has not ended, or a `\r` at the end may be half of a line break. */
function formatOf(text: string): Format | undefined {
  const unquoted = text.replace(/(^|[,;\t\r\n])"(?:[^"]|"")*(?:"|$)/g, '$1x');
  const found = /^[\r\n]*([^\r\n]+)(\r\n|\n|\r(?=[^\n]))/.exec(unquoted);
  if (found === null) return undefined;
  const { meta } = Papa.parse(found[1]!, { delimitersToGuess: SEPARATORS });
  return { delimiter: meta.delimiter, newline: found[2] as Format['newline'] };
}

type Cell = string | number | bigint | boolean | null | undefined;

/** Rows as CSV. A text that a spreadsheet would take for a formula gets an apostrophe before it. */
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

/** An output of at most so many values has a column for each. */
const COLUMNS = 64;

/** Turns lines of answers into CSV, a text at a time: one row each, with a column for each value of a short output. */
export function createAnswersCsv({ classes, outputs }: Pick<ModelInfo, 'classes' | 'outputs'>): {
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
