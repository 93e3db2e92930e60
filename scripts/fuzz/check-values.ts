import { gunzipSync, inflateSync } from 'node:zlib';
import type { Datatype } from '../../clients/typescript/src/client.ts';
import type { Answer } from '../conformance/http.ts';
import { type Column, type Columns, columnOf, columnOfBytes, isSame } from './columns.ts';
import type { FuzzRequest, Signature } from './generate.ts';
import { isObject, type Json, parseLoosely } from './loose-json.ts';
import { KNOWN } from './models.ts';

/** A row of a model whose outputs are not known, and its result: to be sent once more, alone. */
export interface LoneRow {
  readonly model: string;
  readonly features: string;
  readonly outputs: Columns;
}

interface ValueCheck {
  /** What is wrong with the values of a response of 200; undefined if nothing is. */
  readonly fault: string | undefined;
  readonly lone: readonly LoneRow[];
}

type Members = { readonly [key: string]: Json };
const NDJSON = /^application\/(x-ndjson|jsonl)/;

/** Compares the values of a response of 200 with those that code other than the server's computes from the body. */
export function checkValues(request: FuzzRequest, answer: Answer, models: readonly Signature[]): ValueCheck {
  const model = models.find(({ name }) => name === request.model)!;
  const lone: LoneRow[] = [];
  try {
    const faults = pairsOf(request, answer, model).map(([inputs, outputs]) => {
      const known = KNOWN[model.name];
      if (known !== undefined) return compare(known, inputs, outputs);
      lone.push(...loneRows(model, inputs, outputs));
      return undefined;
    });
    return { fault: faults.find((fault) => fault !== undefined), lone };
  } catch (error) {
    return { fault: `the values could not be compared: ${(error as Error).message}`, lone };
  }
}

/** The rows of a model with one input, each with its part of every output. */
function loneRows(model: Signature, inputs: Columns, outputs: Members | Columns): LoneRow[] {
  const [input, ...more] = model.inputs;
  const { values } = inputs.get(input!.name)!;
  const rows = values.length / input!.shape.slice(1).reduce((size, length) => size * length, 1);
  if (more.length > 0 || !Number.isInteger(rows)) return [];
  const columns: Columns = outputs instanceof Map ? outputs : outputsOf(model, outputs as Members);
  return Array.from({ length: rows }, (_, row): LoneRow => {
    const part = (all: readonly string[]): string[] =>
      all.slice((row * all.length) / rows, ((row + 1) * all.length) / rows);
    const features = `[${part(values).map(quoteFloat)}]`;
    const own = Array.from(columns, ([name, column]): [string, Column] => [
      name,
      { ...column, values: part(column.values) },
    ]);
    return { model: model.name, features, outputs: new Map(own) };
  });
}

/** Outputs in JSON, by name, as columns. @throws Error for a value that is not of the datatype. */
export function outputsOf({ outputs: specs }: Signature, outputs: Members): Columns {
  const given = specs.filter(({ name }) => outputs[name] !== undefined);
  return new Map(given.map(({ name, datatype }) => [name, mustBeColumn(name, datatype, outputs[name]!)]));
}

function mustBeColumn(name: string, datatype: Datatype, json: Json): Column {
  const column = columnOf(datatype, json);
  if (column === undefined) throw new Error(`${name} holds what is no ${datatype}`);
  return column;
}

const quoteFloat = (value: string): string => (Number.isFinite(Number(value)) ? value : `"${value}"`);

/** Inputs and the outputs of the response: JSON by name, or columns. */
type Pair = readonly [inputs: Columns, outputs: Members | Columns];

function compare(known: (typeof KNOWN)[string], inputs: Columns, outputs: Members | Columns): string | undefined {
  const expected = known.outputs(inputs);
  for (const [name, column] of expected ?? []) {
    const given = outputs instanceof Map ? outputs.get(name) : (outputs as Members)[name];
    // Not requested.
    if (given === undefined) continue;
    const actual = outputs instanceof Map ? (given as Column) : columnOf(column.datatype, given as Json);
    if (actual !== undefined && isSame(column, actual, known.tolerance)) continue;
    const show = (values: readonly string[] | undefined) => values?.slice(0, 8).join(',').slice(0, 200);
    return `output ${name}: expected ${show(column.values)} (${column.values.length} values), got ${show(actual?.values)} (${actual?.values.length})`;
  }
  return undefined;
}

function pairsOf(request: FuzzRequest, answer: Answer, model: Signature): Pair[] {
  const { dialect } = request;
  if (dialect === 'repository-index') return [];
  if (dialect.startsWith('infer')) return [inferPair(request, answer, model)];
  if (dialect.startsWith('batch') && NDJSON.test(request.headers['Content-Type'] ?? '')) {
    return batchPairs(linesOf(request.body.toString()), answer, model);
  }
  const body = parseLoosely(request.body.toString());
  if (dialect.startsWith('batch')) return batchPairs(rowsOf(body), answer, model);
  const parsed = parseLoosely(answer.text) as Members;
  if (parsed.predictions !== undefined) {
    const instances = rowsOf(body).map((row) => inputsOf(unwrap(row), model));
    return instances.map((inputs, i) => [inputs, predictionOf((parsed.predictions as Json[])[i]!, model, dialect)]);
  }
  if (dialect.startsWith('tfs')) {
    return [[inputsOf((body as Members).inputs!, model), byOutput(parsed.outputs!, model)]];
  }
  if (Array.isArray(parsed.outputs)) return [inferPair(request, answer, model)];
  return [[inputsOf((body as Members).features!, model), parsed.outputs as Members]];
}

/** The prediction of one instance: all members of `/predict` for Vertex AI, the outputs' values for TensorFlow Serving. */
function predictionOf(prediction: Json, model: Signature, dialect: FuzzRequest['dialect']): Members {
  return dialect === 'vertex' ? ((prediction as Members).outputs as Members) : byOutput(prediction, model);
}

const byOutput = (value: Json, { outputs }: Signature): Members =>
  outputs.length === 1 ? { [outputs[0]!.name]: value } : (value as Members);

const unwrap = (row: Json): Json =>
  isObject(row) && Object.keys(row).length === 1 && row.features !== undefined ? row.features : row;

/** The rows of an array of bodies, or of `instances`. */
function rowsOf(body: Json): Json[] {
  if (Array.isArray(body)) return body.map(unwrap);
  return (body as Members).instances as Json[];
}

const linesOf = (text: string): (() => Json)[] =>
  text
    .split('\n')
    .filter((line) => !/^[ \t\r]*$/.test(line))
    .map((line) => () => (parseLoosely(line) as Members).features!);

function batchPairs(rows: readonly (Json | (() => Json))[], answer: Answer, model: Signature): Pair[] {
  const parsed = answer.headers['content-type']!.startsWith('application/json')
    ? (parseLoosely(answer.text) as Json[])
    : answer.text.trimEnd().split('\n').map(parseLoosely);
  const pairs: Pair[] = [];
  let index = 0;
  for (const line of parsed as Members[]) {
    if (line.done !== undefined) continue;
    const at = index++;
    if (String((line.index as { text: string }).text) !== String(at)) throw new Error(`row ${at} has another index`);
    if (line.error !== undefined) continue;
    const row = rows[at]!;
    pairs.push([inputsOf(typeof row === 'function' ? row() : row, model), line.outputs as Members]);
  }
  if (index !== rows.length) throw new Error(`${rows.length} rows were sent, ${index} were answered`);
  return pairs;
}

/** The inputs of a row or of entire columns: the only input's values, or an object by name. */
function inputsOf(given: Json, { inputs }: Signature): Columns {
  const byName = isObject(given) && typeof given.b64 !== 'string';
  return new Map(
    inputs.map(({ name, datatype }) => [
      name,
      mustBeColumn(name, datatype, byName ? (given as Members)[name]! : given),
    ]),
  );
}

function inferPair({ headers, body }: FuzzRequest, answer: Answer, model: Signature): Pair {
  const plain = inflate(body, headers['Content-Encoding']);
  const length = headers['Inference-Header-Content-Length'];
  const parsed = readInfer(Buffer.from(answer.bytes), answer.headers['inference-header-content-length'], 'outputs');
  if (length === '0') {
    const [{ name, datatype }] = model.inputs as [Signature['inputs'][number]];
    const text: Column = { datatype: 'BYTES', values: [plain.toString()] };
    return [new Map([[name, datatype === 'BYTES' ? text : columnOfBytes(datatype, plain)]]), parsed];
  }
  return [readInfer(plain, length, 'inputs'), parsed];
}

function inflate(body: Buffer, encoding: string | undefined): Buffer {
  if (encoding === 'gzip') return gunzipSync(body);
  return encoding === 'deflate' ? inflateSync(body) : body;
}

/** The tensors of an infer request or response, in JSON or as binary data after it. */
function readInfer(body: Buffer, header: string | undefined, member: 'inputs' | 'outputs'): Columns {
  const length = header === undefined ? body.length : Number(header);
  const tensors = (parseLoosely(body.subarray(0, length).toString()) as Members)[member] as Members[];
  let at = length;
  return new Map(
    tensors.map(({ name, datatype, shape, data, parameters }) => {
      const parsed = (shape as { text: string }[]).map(({ text }) => Number(text)).join();
      if (data !== undefined) return [name as string, { ...columnOf(datatype as Datatype, data)!, shape: parsed }];
      const size = Number(((parameters as Members).binary_data_size as { text: string }).text);
      const column = columnOfBytes(datatype as Datatype, body.subarray(at, at + size));
      at += size;
      return [name as string, { ...column, shape: parsed }];
    }),
  );
}
