import { type Group, inWords, isAt, joinInputs, nest, planFields, reasonFor, tokenOf } from '../form/fields.ts';
import { isFixed, type ModelInfo, sizeOf } from '../model.ts';
import { createCsvReader } from './csv.ts';

/** A row of a file. */
export interface Line {
  /** The body of `/predict`, on one line. */
  readonly body: string;
  /** The row as the file has it: a cell for each column. */
  readonly cells: readonly string[];
}

/** The columns of a file. */
export interface Table {
  readonly names: readonly string[];
  /** For each column, the name of the value that it has for the model; undefined if it has none, such as an id. */
  readonly uses: readonly (string | undefined)[];
  /** A failure of a row in the name of its column, with a reason for an empty cell. @param path the place in the input. */
  explain(message: string, path: string | undefined, cells: readonly string[]): string;
}

/** Converts the text of a file, in pieces, into rows. */
export interface LineMaker {
  /** The rows that are complete with this piece of text. @throws Error for a file that cannot be read. */
  push(text: string): Line[];
  /** The last row, if no line break ends it. */
  end(): Line[];
  /** The columns, once the first row is read. */
  table(): Table | undefined;
}

/** Most characters of a line. */
const MAX_LINE = 32 * 2 ** 20;
/** Most characters of a line of NDJSON that are kept beside its result. */
const KEPT_CHARACTERS = 10_000;

/** Creates a line maker. A file whose first character is `{` or `[` is NDJSON, of bodies or of their features; any other is CSV. */
export function createLineMaker(model: ModelInfo): LineMaker {
  let maker: LineMaker | undefined;
  return {
    push(text) {
      if (maker === undefined) {
        const first = /\S/.exec(text.replace(/^\uFEFF/, ''))?.[0];
        if (first === undefined) return [];
        maker = first === '{' || first === '[' ? createJsonLines() : createCsvLines(model);
      }
      return maker.push(text.replace(/^\uFEFF/, ''));
    },
    end: () => maker?.end() ?? [],
    table: () => maker?.table(),
  };
}

const JSON_TABLE: Table = { names: ['row'], uses: ['features'], explain: (message) => message };

function createJsonLines(): LineMaker {
  let rest = '';
  const linesOf = (text: string): Line[] => {
    const line = text.trim();
    if (line === '') return [];
    const cells = [line.length > KEPT_CHARACTERS ? `${line.slice(0, KEPT_CHARACTERS)}…` : line];
    return [{ body: line.startsWith('{') ? line : `{"features":${line}}`, cells }];
  };
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) throw new Error('A line is longer than 32 MB: this is not NDJSON.');
      return lines.flatMap(linesOf);
    },
    end: () => linesOf(rest),
    table: () => JSON_TABLE,
  };
}

function createCsvLines(model: ModelInfo): LineMaker {
  const reader = createCsvReader();
  let columns: Columns | undefined;
  const linesOf = (rows: string[][]): Line[] =>
    rows.flatMap((cells) => {
      const isFirst = columns === undefined;
      columns ??= readColumns(model, cells);
      return isFirst && columns.isHeader ? [] : [{ body: columns.toBody(cells), cells }];
    });
  return {
    push: (text) => linesOf(reader.push(text)),
    end: () => linesOf(reader.end()),
    table: () => columns?.table,
  };
}

interface Column {
  readonly label: string;
  readonly dtype: string;
  /** The path of its value in the server's errors. */
  readonly path: string;
  readonly isJson: boolean;
}

interface Columns {
  readonly isHeader: boolean;
  readonly table: Table;
  toBody(cells: readonly string[]): string;
}

/**
 * Finds the columns by the first row. It has their names, in any order and among others; or it has values, in the model's order. A
 * first row with values that are not of their dtype is a header with other names, which are ignored.
 * @throws Error that names the columns that are missing.
 */
export function readColumns(model: ModelInfo, first: readonly string[]): Columns {
  const groups = planFields(model);
  const columns = groups.map((group) => columnsOf(model, group, groups.length === 1 ? first.length : 1));
  const all = columns.flat();
  const names = first.map((name) => name.trim());
  const missing = all.filter(({ label }) => !names.includes(label));
  const isNamed = missing.length === 0;
  if (!isNamed && missing.length < all.length) {
    const list = missing.slice(0, 10).map(({ label }) => label);
    throw new Error(`The file has no column ${list.join(', ')}${missing.length > 10 ? ', …' : ''}.`);
  }
  const places = all.map(({ label }, i) => (isNamed ? names.indexOf(label) : i));
  const isHeader =
    isNamed || all.some(({ dtype, isJson }, i) => !isJson && tokenOf(dtype, first[i] ?? '') === undefined);
  return {
    isHeader,
    table: tableOf(all, places, first, isHeader),
    toBody(cells) {
      let offset = 0;
      const texts = groups.map((group, i) => {
        const own = columns[i]!;
        const tokens = own.map((column, j) => tokenIn(column, cells[places[offset + j]!] ?? ''));
        offset += own.length;
        if (own[0]?.isJson) return tokens[0]!;
        // The server refuses a row with too many or too few cells.
        if (!isNamed && groups.length === 1 && group.shape.length === 1)
          return `[${cells.map((cell) => tokenIn(own[0]!, cell)).join(',')}]`;
        return nest(tokens, group.shape);
      });
      return `{"features":${joinInputs(model.inputs, texts)}}`;
    },
  };
}

/** @param places the index of each column in the file. */
function tableOf(
  columns: readonly Column[],
  places: readonly number[],
  first: readonly string[],
  hasNames: boolean,
): Table {
  const uses = first.map((_, i) => columns[places.indexOf(i)]?.label);
  return {
    names: first.map((name, i) => (hasNames ? name.trim() : (uses[i] ?? `column ${i + 1}`))),
    uses,
    explain(message, path, cells) {
      const at = path === undefined ? -1 : columns.findIndex((column) => isAt(path, column.path));
      const column = columns[at];
      if (column === undefined) return message;
      const cell = cells[places[at]!] ?? '';
      return cell.trim() === '' && !column.isJson
        ? `${column.label}: ${reasonFor(column.dtype, cell)}`
        : inWords(message, column);
    },
  };
}

/** A column for each value of a row of fixed size, or one with the row as JSON. */
function columnsOf({ features }: ModelInfo, { spec, shape, fields }: Group, found: number): Column[] {
  const { dtype } = spec;
  if (fields[0]?.kind !== 'tensor') return fields.map(({ label, path }) => ({ label, dtype, path, isJson: false }));
  const base = fields[0].path;
  const size = isFixed(shape) ? sizeOf(shape) : shape.length === 1 ? found : -1;
  if (found <= 1 || size < 1) return [{ label: spec.name, dtype, path: base, isJson: true }];
  return Array.from({ length: size }, (_, i) => ({
    label: features?.[i] ?? `${spec.name}[${i}]`,
    dtype,
    path: `${base}${indexPath(i, shape)}`,
    isJson: false,
  }));
}

/** The place of an element by its row-major index, as the server's errors have it: `[1][0]`. */
function indexPath(index: number, shape: readonly number[]): string {
  let rest = index;
  let path = '';
  for (const dim of shape.slice(1).toReversed()) {
    path = `[${rest % dim}]${path}`;
    rest = Math.floor(rest / dim);
  }
  return `[${rest}]${path}`;
}

/** The JSON of a cell. An invalid value is sent as a text: the server refuses that row alone, with a reason. */
function tokenIn({ dtype, isJson }: Column, cell: string): string {
  if (!isJson) return tokenOf(dtype, cell) ?? JSON.stringify(cell);
  try {
    JSON.parse(cell);
    return cell.replace(/[\r\n]+/g, ' ');
  } catch {
    return JSON.stringify(cell);
  }
}
