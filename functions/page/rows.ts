import { createCsvReader } from './csv.ts';
import { type Group, isFixed, joinInputs, type ModelInfo, nest, planFields, sizeOf, tokenOf } from './fields.ts';

/** Converts the text of a file, in pieces, into bodies of `/predict`, each on one line. */
interface LineMaker {
  /** The bodies that are complete with this piece of text. @throws Error for a file that cannot be read. */
  push(text: string): string[];
  /** The last body, if no line break ends it. */
  end(): string[];
}

/** Most characters of a line. */
const MAX_LINE = 32 * 2 ** 20;

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
  };
}

function createJsonLines(): LineMaker {
  let rest = '';
  const bodyOf = (line: string): string[] => {
    const body = line.trim();
    if (body === '') return [];
    return [body.startsWith('{') ? body : `{"features":${body}}`];
  };
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) throw new Error('A line is longer than 32 MB: this is not NDJSON.');
      return lines.flatMap(bodyOf);
    },
    end: () => bodyOf(rest),
  };
}

function createCsvLines(model: ModelInfo): LineMaker {
  const reader = createCsvReader();
  let toBody: ((cells: string[]) => string) | undefined;
  const bodiesOf = (rows: string[][]): string[] =>
    rows.flatMap((cells) => {
      if (toBody !== undefined) return [toBody(cells)];
      const columns = readColumns(model, cells);
      toBody = columns.toBody;
      return columns.isHeader ? [] : [toBody(cells)];
    });
  return { push: (text) => bodiesOf(reader.push(text)), end: () => bodiesOf(reader.end()) };
}

interface Column {
  readonly label: string;
  readonly dtype: string;
  readonly isJson: boolean;
}

interface Columns {
  readonly isHeader: boolean;
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

/** A column for each value of a row of fixed size, or one with the row as JSON. */
function columnsOf({ features }: ModelInfo, { spec, shape, fields }: Group, found: number): Column[] {
  const { dtype } = spec;
  if (fields[0]?.kind !== 'json') return fields.map(({ label }) => ({ label, dtype, isJson: false }));
  const size = isFixed(shape) ? sizeOf(shape) : shape.length === 1 ? found : -1;
  if (found <= 1 || size < 1) return [{ label: spec.name, dtype, isJson: true }];
  return Array.from({ length: size }, (_, i) => ({
    label: features?.[i] ?? `${spec.name}[${i}]`,
    dtype,
    isJson: false,
  }));
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
