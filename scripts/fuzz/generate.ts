import { deflateSync, gzipSync } from 'node:zlib';
import type { Datatype } from '../../clients/typescript/src/client.ts';
import { encodeTensor } from '../../clients/typescript/src/tensor-bytes.ts';
import { writeText } from './json-text.ts';
import { blankLines, stretched } from './long.ts';
import { mutate, mutateBytes } from './mutate.ts';
import { createRandom, type Random } from './random.ts';

interface Input {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 for any length. */
  readonly shape: readonly number[];
}

export interface Signature {
  readonly name: string;
  readonly inputs: readonly Input[];
  readonly outputs: readonly Input[];
}

export interface FuzzRequest {
  readonly dialect: Dialect;
  /** The name of the model. */
  readonly model: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

export const DIALECTS = [
  'predict',
  'model-predict',
  'batch-json',
  'batch-ndjson',
  'infer-json',
  'infer-binary',
  'infer-raw',
  'infer-packed',
  'repository-index',
  'tfs-instances',
  'tfs-inputs',
  'vertex',
] as const;
export type Dialect = (typeof DIALECTS)[number];

const TYPES = ['application/json', 'application/octet-stream', 'application/x-ndjson', 'text/plain', 'a', ''];
const HEADER_LENGTH = 'Inference-Header-Content-Length';
/** Below the server's limit for an inflated body. */
const BOMB_BYTES = 2 ** 22;
const BYTE_ORDER_MARK = Buffer.from('\ufeff');

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

/** The shape of a row, by input: a dimension of any length mostly has the same length in all inputs. */
function rowShapes({ inputs }: Signature, random: Random): readonly (readonly number[])[] {
  const shared = 1 + random.int(4);
  return inputs.map(({ shape }) =>
    shape.slice(1).map((length) => (length !== -1 ? length : random.chance(0.1) ? 1 + random.int(4) : shared)),
  );
}

function scalar(datatype: Datatype, random: Random): number | boolean | string {
  if (datatype === 'BOOL') return random.chance(0.5);
  if (datatype === 'BYTES') return random.pick(['', 'a', 'é😀', 'text']);
  return datatype.startsWith('FP') ? random.int(1000) / 8 : random.int(100);
}

const flat = ({ datatype }: Input, size: number, random: Random) =>
  Array.from({ length: size }, () => scalar(datatype, random));

/** A row in the form of the native routes, `instances` and Vertex AI. */
function row(signature: Signature, random: Random): unknown {
  const shapes = rowShapes(signature, random);
  const values = signature.inputs.map((input, i) => flat(input, sizeOf(shapes[i]!), random));
  if (values.length === 1) return values[0];
  return Object.fromEntries(signature.inputs.map(({ name }, i) => [name, values[i]]));
}

const rowsOf = (signature: Signature, random: Random): unknown[] =>
  Array.from({ length: 1 + random.int(6) }, () => row(signature, random));

function tensors(signature: Signature, random: Random, rows = 1 + random.int(4)) {
  const shapes = rowShapes(signature, random);
  return signature.inputs.map((input, i) => {
    const own = random.chance(0.02) ? 1 + random.int(4) : rows;
    const shape = [own, ...shapes[i]!];
    return { name: input.name, datatype: input.datatype, shape, data: flat(input, sizeOf(shape), random) };
  });
}

/** Columns: the `inputs` of TensorFlow Serving. */
function columns(signature: Signature, random: Random): unknown {
  const rows = rowsOf(signature, random);
  if (signature.inputs.length === 1) return rows;
  return Object.fromEntries(
    signature.inputs.map(({ name }) => [name, rows.map((one) => (one as Record<string, unknown>)[name])]),
  );
}

/** For FP16 only the width matters: any 16 bits are a number. */
const ARRAYS = {
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
};

function bytesOf({ datatype, shape, data }: ReturnType<typeof tensors>[number]): Buffer {
  const wide = datatype === 'INT64' || datatype === 'UINT64';
  const values = wide ? data.map((one) => BigInt(one as number)) : data;
  const typed =
    datatype === 'BOOL' || datatype === 'BYTES'
      ? data
      : new (ARRAYS[datatype] as Uint8ArrayConstructor)(values as number[]);
  return Buffer.from(encodeTensor({ datatype, shape, data: typed } as Parameters<typeof encodeTensor>[0]));
}

/** A valid value of the dialect; undefined if its body is not only JSON. */
function jsonOf(dialect: Dialect, signature: Signature, random: Random): unknown {
  switch (dialect) {
    case 'predict':
    case 'model-predict':
      return { features: row(signature, random) };
    case 'batch-json':
    case 'vertex':
    case 'tfs-instances':
      return { instances: rowsOf(signature, random) };
    case 'tfs-inputs':
      return { inputs: columns(signature, random) };
    case 'repository-index':
      return { ready: random.chance(0.5) };
    default:
      return { id: 'one', inputs: tensors(signature, random) };
  }
}

function changed(value: unknown, random: Random): string {
  let result = value;
  for (let times = random.pick([0, 1, 1, 1, 2, 3]); times > 0; times -= 1) result = mutate(result, random);
  return writeText(result);
}

/** A line of NDJSON, sometimes a long one, or one after blank lines. */
function changedLine(value: unknown, random: Random): string {
  const line = changed(value, random);
  const stretch = random.chance(0.01) ? stretched(line, random) : line;
  return random.chance(0.05) ? blankLines(random) + stretch : stretch;
}

function binary(signature: Signature, random: Random, headers: Record<string, string>): Buffer {
  const inputs = tensors(signature, random);
  const blobs = inputs.map(bytesOf);
  const items = inputs.map(({ data: _, ...rest }, i) => ({
    ...rest,
    parameters: { binary_data_size: blobs[i]!.length },
  }));
  const head = Buffer.from(changed({ inputs: items, parameters: { binary_data_output: random.chance(0.5) } }, random));
  const sizes = ['0', '-1', '1e3', '9007199254740993', 'NaN', '', String(head.length + 1)];
  headers[HEADER_LENGTH] = random.chance(0.1) ? random.pick(sizes) : String(head.length);
  headers['Content-Type'] = 'application/octet-stream';
  return Buffer.concat([head, ...blobs]);
}

function pack(body: Buffer, random: Random, headers: Record<string, string>): Buffer {
  const encoding = random.pick(['gzip', 'deflate']);
  headers['Content-Encoding'] = random.chance(0.05) ? 'br' : encoding;
  const plain = random.chance(0.05) ? Buffer.alloc(BOMB_BYTES, ' ') : body;
  return encoding === 'gzip' ? gzipSync(plain) : deflateSync(plain);
}

function pathOf(dialect: Dialect, name: string): string {
  if (dialect === 'predict') return '/predict';
  if (dialect === 'model-predict') return `/models/${name}/predict`;
  if (dialect.startsWith('batch')) return `/models/${name}/batch_predict`;
  if (dialect === 'repository-index') return '/v2/repository/index';
  if (dialect.startsWith('tfs')) return `/v1/models/${name}:predict`;
  return dialect === 'vertex' ? '/vertex' : `/v2/models/${name}/infer`;
}

/**
 * Generates the body `number` of a run: the same for the same seed, number and models.
 * @param models those of the server, that of `/predict` first.
 */
export function generate(seed: number, number: number, models: readonly Signature[]): FuzzRequest {
  const random = createRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b));
  const dialect = DIALECTS[number % DIALECTS.length]!;
  const singles = models.filter(({ inputs }) => inputs.length === 1);
  const main = dialect === 'predict' || dialect === 'vertex';
  const signature = main ? models[0]! : random.pick(dialect === 'infer-raw' ? singles : models);
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  let body: Buffer;
  if (dialect === 'infer-binary') body = binary(signature, random, headers);
  else if (dialect === 'infer-raw') {
    headers['Content-Type'] = 'application/octet-stream';
    headers[HEADER_LENGTH] = '0';
    // A raw body is a batch of one.
    body = Buffer.concat(tensors(signature, random, random.chance(0.8) ? 1 : 3).map(bytesOf));
  } else if (dialect === 'batch-ndjson') {
    headers['Content-Type'] = 'application/x-ndjson';
    body = Buffer.from(
      rowsOf(signature, random)
        .map((one) => `${changedLine(random.chance(0.5) ? { features: one } : one, random)}\n`)
        .join(''),
    );
  } else body = Buffer.from(changed(jsonOf(dialect, signature, random), random));
  if (random.chance(0.02)) body = Buffer.concat([BYTE_ORDER_MARK, body]);
  if (random.chance(0.1)) body = mutateBytes(body, random);
  if (dialect === 'infer-packed') body = pack(body, random, headers);
  if (dialect === 'infer-packed' && random.chance(0.1)) body = mutateBytes(body, random);
  if (random.chance(0.03)) headers['Content-Type'] = random.pick(TYPES);
  if (random.chance(0.1)) headers.Accept = 'application/json';
  return { dialect, model: signature.name, path: pathOf(dialect, signature.name), headers, body };
}
