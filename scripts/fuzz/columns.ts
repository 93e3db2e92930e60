import type { Datatype } from '../../clients/typescript/src/client.ts';
import { Digits, isObject, type Json } from './loose-json.ts';

/** The values of a tensor, row-major, each as a text by its datatype: equal texts are equal values. */
export interface Column {
  readonly datatype: Datatype;
  readonly values: readonly string[];
  /** Its place, for messages. */
  readonly shape?: string | undefined;
}

export type Columns = ReadonlyMap<string, Column>;

const ROUND: Partial<Record<Datatype, (value: number) => number>> = {
  FP16: Math.f16round,
  FP32: Math.fround,
  FP64: (value) => value,
};

const textOf = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** The innermost values of arrays in arrays. */
function flatten(value: Json): Json[] {
  return Array.isArray(value) ? value.flatMap(flatten) : [value];
}

/** A column of values in JSON; undefined if a value is not of the datatype. */
export function columnOf(datatype: Datatype, json: Json): Column | undefined {
  const values = flatten(json).map((one) => textIn(datatype, one));
  return values.includes(undefined) ? undefined : { datatype, values: values as string[] };
}

function textIn(datatype: Datatype, json: Json): string | undefined {
  if (datatype === 'BOOL') return typeof json === 'boolean' ? String(json) : undefined;
  if (datatype === 'BYTES') {
    if (typeof json === 'string') return json;
    return isObject(json) && typeof json.b64 === 'string' ? Buffer.from(json.b64, 'base64').toString() : undefined;
  }
  const round = ROUND[datatype];
  if (round === undefined) {
    if (!(json instanceof Digits)) return undefined;
    return /^-?\d+$/.test(json.text) ? String(BigInt(json.text)) : String(BigInt(Number(json.text)));
  }
  if (json === null) return 'NaN';
  if (json instanceof Digits) return textOf(round(Number(json.text)));
  return json === 'NaN' || json === 'Infinity' || json === '-Infinity' ? json : undefined;
}

type Read = (view: DataView, at: number) => number | bigint;
const READ: Readonly<Record<Exclude<Datatype, 'BYTES'>, readonly [bytes: number, read: Read]>> = {
  BOOL: [1, (view, at) => view.getUint8(at)],
  UINT8: [1, (view, at) => view.getUint8(at)],
  UINT16: [2, (view, at) => view.getUint16(at, true)],
  UINT32: [4, (view, at) => view.getUint32(at, true)],
  UINT64: [8, (view, at) => view.getBigUint64(at, true)],
  INT8: [1, (view, at) => view.getInt8(at)],
  INT16: [2, (view, at) => view.getInt16(at, true)],
  INT32: [4, (view, at) => view.getInt32(at, true)],
  INT64: [8, (view, at) => view.getBigInt64(at, true)],
  FP16: [2, (view, at) => view.getFloat16(at, true)],
  FP32: [4, (view, at) => view.getFloat32(at, true)],
  FP64: [8, (view, at) => view.getFloat64(at, true)],
};

/** A column of binary data (Triton, binary tensor data extension). */
export function columnOfBytes(datatype: Datatype, bytes: Uint8Array): Column {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: string[] = [];
  if (datatype === 'BYTES') {
    for (let at = 0; at < bytes.length; ) {
      const end = at + 4 + view.getUint32(at, true);
      values.push(Buffer.from(bytes.subarray(at + 4, end)).toString());
      at = end;
    }
    return { datatype, values };
  }
  const [size, read] = READ[datatype];
  for (let at = 0; at < bytes.length; at += size) {
    const value = read(view, at);
    if (datatype === 'BOOL') values.push(String(value === 1));
    else values.push(typeof value === 'bigint' ? String(value) : textOf(value));
  }
  return { datatype, values };
}

/**
 * Whether two columns have the same values.
 * @param tolerance relative, for floats.
 */
export function isSame(a: Column, b: Column, tolerance = 0): boolean {
  if (a.values.length !== b.values.length) return false;
  const close = (x: string, y: string): boolean => {
    if (x === y) return true;
    const [one, two] = [Number(x), Number(y)];
    return tolerance > 0 && Math.abs(one - two) <= tolerance * Math.max(1e-30, Math.abs(one), Math.abs(two));
  };
  return a.values.every((value, i) => close(value, b.values[i]!));
}
