import { csvLine } from './csv.ts';
import type { ModelInfo } from './fields.ts';
import { parseJson, toJson } from './json.ts';

interface Row {
  readonly index: number;
  readonly prediction?: unknown;
  readonly label?: string;
  readonly outputs?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

type Cell = string | number | bigint | boolean | null | undefined;

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
      csvLine([
        'index',
        'prediction',
        ...(classes === undefined ? [] : ['label']),
        ...columns.flatMap(({ titles }) => titles),
        'error',
      ]),
    rows: (ndjson) =>
      ndjson
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => csvLine(cellsOf(parseJson(line) as Row)))
        .join(''),
  };
}

const plain = (value: unknown): Cell =>
  typeof value === 'object' && value !== null ? toJson(value) : (value as Exclude<Cell, null>);
