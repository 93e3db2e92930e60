import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { ServingError } from '../../errors.ts';
import { type Golden, parseGolden, parseManifest } from '../../model/folder/manifest.ts';
import { createRowDecoder, type RowDecoder, type RowFeeds, type RowForm } from '../../model/folder/rows.ts';
import { isObject, type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { planColumns } from './columns.ts';
import { readCsv } from './csv.ts';

/** A row of a file of samples. */
export interface Sample {
  /** The row as the body of `/predict` has it. */
  readonly features: JsonValue;
  /** The row as the model's inputs. */
  readonly feeds: RowFeeds;
  /** Where it is, for messages: `rows.csv:3`, `golden.json: rows[3]`. */
  readonly place: string;
}

/** A row that is not compared with the model's inputs yet. */
interface RawRow {
  readonly features: JsonValue;
  readonly place: string;
  /** Refuses the row in more detail than the decoder. */
  readonly check?: () => void;
}

/** V8 has no longer texts. */
const MOST_BYTES = 2 ** 29 - 2 ** 10;
/** The most values of a line: more than a row of any model has. */
const MOST_VALUES = 2 ** 24;
const FORMATS = '.csv, .tsv, .ndjson, .jsonl, or .json (golden.json, or model.json with an example)';

/**
 * Reads the rows of a file of samples:
 * - `.csv`, `.tsv`: a column for each value, under the names of the features or inputs, or in their order: see `planColumns`;
 * - `.ndjson`, `.jsonl`: a line for each row, the body of `/predict` or its features;
 * - `.json`: the rows of a golden.json, or the example of a model.json.
 * @param form the inputs of the model, the names of its features, and whether its rows are joined
 * @param most the most rows to read. Default: all
 * @throws ServingError `INVALID_INPUT` that names the file, the line, the column or the element, what is expected and what is
 * there; the error of the system if the file cannot be read
 */
export function* readSamples(file: string, form: RowForm, most = Number.POSITIVE_INFINITY): Generator<Sample> {
  const decoder = createRowDecoder(form.signature, form.names, form.joinsRows);
  let rows = 0;
  for (const row of readRows(file, form, most)) {
    if (rows++ === most) return;
    yield decode(row, decoder);
  }
  if (rows === 0) throw invalid(`${file}: it has no rows`);
}

function decode({ features, place, check }: RawRow, decoder: RowDecoder): Sample {
  try {
    return { features, feeds: decoder.decode(features, `${place}: features`), place };
  } catch (error) {
    check?.();
    throw error;
  }
}

function readRows(file: string, form: RowForm, most: number): Iterable<RawRow> {
  const kind = extname(file).toLowerCase();
  const { size } = statSync(file);
  if (size > MOST_BYTES)
    throw invalid(`${file}: it has ${size} bytes, and may have ${MOST_BYTES}: give fewer rows, such as the first 1000`);
  if (kind === '.csv' || kind === '.tsv') return readTable(readFileSync(file, 'utf8'), file, form, most);
  if (kind === '.ndjson' || kind === '.jsonl') return readLines(readFileSync(file), file);
  if (kind === '.json') return readDocument(readFileSync(file, 'utf8'), file);
  throw invalid(`${file}: expected a file of samples, ${FORMATS}`);
}

function* readTable(text: string, file: string, form: RowForm, most: number): Generator<RawRow> {
  const [first, ...others] = readCsv(text.replace(/^\ufeff/, ''), file, most + 1);
  if (first === undefined) return;
  const columns = planColumns(form, first.cells, `${file}:${first.line}`);
  for (const { line, cells } of columns.hasHeader ? others : [first, ...others]) {
    const place = `${file}:${line}`;
    yield { features: columns.read(cells, place), place, check: () => columns.check(cells, place) };
  }
}

const NEWLINE = 0x0a;

function* readLines(bytes: Buffer, file: string): Generator<RawRow> {
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const found = bytes.indexOf(NEWLINE, from);
    const end = found === -1 ? bytes.length : found;
    const place = `${file}:${line}`;
    if (bytes.toString('latin1', from, end).trim() !== '')
      yield { features: featuresOf(readLine(bytes, from, end, place)), place };
    from = end + 1;
  }
}

function readLine(bytes: Buffer, from: number, end: number, place: string): JsonValue {
  try {
    return readJson(bytes, from, end, MOST_VALUES);
  } catch (cause) {
    const { message } = cause as Error;
    const syntax = /^the body is not valid JSON: (expected .*) at byte (\d+), got (.*)$/s.exec(message);
    if (syntax === null) throw invalid(`${place}: ${message.replace('the body', 'the line')}`, cause);
    const [, expected, byte, given] = syntax;
    const got = given!.replace('the end of the body', 'the end of the line');
    throw invalid(`${place}:${Number(byte) + 1}: ${expected}, got ${got}`, cause);
  }
}

/** A body of `/predict` has features alone; any other value is the features. An input may have that name: its value is the same row. */
function featuresOf(value: JsonValue): JsonValue {
  if (!isObject(value)) return value;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === 'features' ? value.features! : value;
}

function* readDocument(text: string, file: string): Generator<RawRow> {
  if (isGolden(text)) {
    const { rows }: Golden = parse(() => parseGolden(text, file));
    for (const [i, { features }] of rows.entries()) yield { features, place: `${file}: rows[${i}]` };
    return;
  }
  const { example } = parse(() => parseManifest(text, file));
  if (example === undefined)
    throw invalid(`${file}: expected "rows", as in golden.json, or "example", as in model.json`);
  yield { features: example.features, place: `${file}: example` };
}

/** Whether a document has rows. A text that is not JSON is refused by the parser that follows. */
function isGolden(text: string): boolean {
  try {
    const document: unknown = JSON.parse(text.replace(/^\ufeff/, ''));
    return typeof document === 'object' && document !== null && 'rows' in document;
  } catch {
    return false;
  }
}

/** Calls a parser of the server, to which the file would be a part of a model. */
function parse<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
}

const invalid = (message: string, cause?: unknown): ServingError =>
  new ServingError('INVALID_INPUT', message, { cause });
