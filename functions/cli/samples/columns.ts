import { ServingError } from '../../errors.ts';
import type { RowForm } from '../../model/folder/rows.ts';
import { listNames } from '../../shorten.ts';
import { decodeNested } from '../../tensor/decode.ts';
import { type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { type DType, elementCount, type TensorSpec } from '../../tensor/tensor.ts';

/** How the cells of a table become the `features` of rows. */
export interface Columns {
  /** The first row of the table is not a row of values. */
  readonly hasHeader: boolean;
  /** The `features` of a row. @throws ServingError `INVALID_INPUT` for another number of cells, and for a cell that is not JSON */
  read(cells: readonly string[], place: string): JsonValue;
  /** Refuses the first cell that is not a value of its column. @throws ServingError `INVALID_INPUT` that names the column */
  check(cells: readonly string[], place: string): void;
}

/** A column that the model reads. */
interface Column {
  readonly label: string;
  readonly dtype: DType;
  /** The cell has the JSON of the entire input. */
  readonly isJson: boolean;
}

interface InputColumns {
  readonly spec: TensorSpec;
  /** The shape of the values of a row: `[]` for one value. */
  readonly shape: readonly number[];
  readonly columns: readonly Column[];
}

/**
 * Finds the columns of a table by its first row: it has their names, in any order and among others, or values in the order of the
 * model. The names are those of the features in model.json; else the input's, as `NAME[0]`, `NAME[1]` and so on for each value of
 * a row with several, or as `NAME` for a cell with the JSON of the entire input. A first row of other texts is a header, too.
 * @param place of the first row, for errors
 * @throws ServingError `INVALID_INPUT` that names the missing columns
 */
export function planColumns({ signature, names }: RowForm, first: readonly string[], place: string): Columns {
  const header = first.map((name) => name.trim());
  const { inputs } = signature;
  const groups = inputs.map((spec) => columnsOf(spec, inputs.length === 1, names, header));
  const all = groups.flatMap(({ columns }) => columns);
  const missing = all.filter(({ label }) => !header.includes(label));
  const isNamed = missing.length === 0;
  if (!isNamed && missing.length < all.length) throw missingColumns(missing, place);
  if (!isNamed && all.length !== first.length) throw misfit(all, first.length, place);
  const at = all.map(({ label }, i) => (isNamed ? header.indexOf(label) : i));
  const isRowOfValues = (): boolean => all.every(({ dtype, isJson }, i) => isJson || isValue(dtype, first[i]!));

  function read(cells: readonly string[], where: string): JsonValue {
    if (cells.length !== first.length)
      throw invalid(`${where}: expected ${first.length} cells, as the first row has, got ${cells.length}`);
    let next = 0;
    const values = groups.map(({ shape, columns }) => {
      const own = columns.map((column) => readCell(column, cells[at[next++]!]!, where));
      return columns[0]?.isJson ? own[0]! : nest(own, shape);
    });
    if (inputs.length === 1) return values[0]!;
    return Object.assign(Object.create(null), Object.fromEntries(values.map((value, i) => [inputs[i]!.name, value])));
  }

  function check(cells: readonly string[], where: string): void {
    for (const [i, { label, dtype, isJson }] of all.entries()) {
      const cell = cells[at[i]!]!;
      if (!isJson) decodeNested(cellValue(dtype, cell), dtype, [], `${where}: column ${at[i]! + 1} (${label})`);
    }
  }

  return { hasHeader: isNamed || !isRowOfValues(), read, check };
}

function columnsOf(
  spec: TensorSpec,
  isOnly: boolean,
  names: readonly string[] | undefined,
  header: readonly string[],
): InputColumns {
  const { name, dtype, anyRank } = spec;
  const isRow = spec.shape[0] === -1 || spec.shape[0] === 1;
  const rowShape = isRow ? spec.shape.slice(1) : spec.shape;
  // The value of a column among several inputs has no brackets.
  const shape = !isOnly && isRow && rowShape.join() === '1' ? [] : rowShape;
  const isVector = isOnly && shape.length === 1;
  const own = isVector && shape[0] === -1 ? [names?.length ?? header.length] : shape;
  const count = elementCount(own);
  const asJson = (count !== 1 || shape.includes(-1)) && (header.includes(name) || (isOnly && header.length === 1));
  if (anyRank || own.includes(-1) || count === 0 || asJson)
    return { spec, shape, columns: [{ label: name, dtype, isJson: true }] };
  const label = (i: number): string => (isOnly && names?.[i]) || (count === 1 ? name : `${name}[${i}]`);
  const columns = Array.from({ length: count }, (_, i): Column => ({ label: label(i), dtype, isJson: false }));
  return { spec, shape: own, columns };
}

function readCell({ label, dtype, isJson }: Column, cell: string, where: string): JsonValue {
  if (!isJson) return cellValue(dtype, cell);
  try {
    return readJson(Buffer.from(cell));
  } catch (cause) {
    throw invalid(`${where}: column ${label}: ${(cause as Error).message.replace('the body', 'the cell')}`, cause);
  }
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const NOT_FINITE: Readonly<Record<string, string>> = { nan: 'NaN', inf: 'Infinity', infinity: 'Infinity' };

/** The value of a cell; the text itself if it is not one of the dtype. An empty number is a missing one: NaN, which floats have. */
function cellValue(dtype: DType, cell: string): JsonValue {
  if (dtype === 'string') return cell;
  const text = cell.trim();
  if (dtype === 'bool') return /^(true|1)$/i.test(text) ? true : /^(false|0)$/i.test(text) ? false : text;
  if (/^[+-]?\d+$/.test(text)) {
    const number = Number(text);
    return Number.isSafeInteger(number) || dtype.startsWith('float') ? number : BigInt(text.replace(/^\+/, ''));
  }
  if (NUMBER.test(text)) return Number(text);
  if (!dtype.startsWith('float')) return text;
  if (text === '') return 'NaN';
  const special = NOT_FINITE[text.toLowerCase().replace(/^[+-]/, '')];
  if (special === undefined) return text;
  // Floats take the texts of these values.
  return String(Number(text.startsWith('-') ? `-${special}` : special));
}

function isValue(dtype: DType, cell: string): boolean {
  const value = cellValue(dtype, cell);
  return dtype === 'string' || typeof value !== 'string' || /^(NaN|-?Infinity)$/.test(value);
}

/** Nests a flat list of values by a shape. */
function nest(values: readonly JsonValue[], shape: readonly number[]): JsonValue {
  if (shape.length === 0) return values[0]!;
  const inner = shape.slice(1);
  const width = elementCount(inner);
  return Array.from({ length: shape[0]! }, (_, i) => nest(values.slice(i * width, (i + 1) * width), inner));
}

function missingColumns(missing: readonly Column[], place: string): ServingError {
  return invalid(`${place}: the header has no column ${listNames(missing.map(({ label }) => label))}`);
}

function misfit(all: readonly Column[], given: number, place: string): ServingError {
  const names = listNames(all.map(({ label }) => label));
  return invalid(`${place}: expected ${all.length} columns (${names}), or a header with these names, got ${given}`);
}

const invalid = (message: string, cause?: unknown): ServingError =>
  new ServingError('INVALID_INPUT', message, { cause });
