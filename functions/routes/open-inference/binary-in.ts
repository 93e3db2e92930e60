import { isUtf8 } from 'node:buffer';
import { checkText } from '../../tensor/fill.ts';
import {
  DTYPES,
  type DType,
  type ElementType,
  elementCount,
  type NumericData,
  type Signature,
  type Tensor,
} from '../../tensor/tensor.ts';
import { DATATYPES } from './datatype.ts';
import { invalid } from './members.ts';

/** Bytes of the length before each element of BYTES, an unsigned little-endian integer. */
const LENGTH_BYTES = 4;

/**
 * Decodes a tensor of binary data (Triton, binary tensor data extension): little-endian, row-major, no padding; a byte of 0 or 1
 * for BOOL; for BYTES each element's length and its UTF-8, or its bytes as they are if the input takes bytes.
 * @param place of the input, for errors.
 * @returns a tensor that is a view of `bytes` if they start at a multiple of the element's size, else of a copy.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readBinary(bytes: Uint8Array, dtype: ElementType, dims: readonly number[], place: string): Tensor {
  const count = elementCount(dims);
  if (dtype === 'string') return { dtype, dims, data: readElements(bytes, count, place, textOf) };
  if (dtype === 'bytes') return { dtype: 'string', dims, data: readElements(bytes, count, place, bytesOf) };
  const size = DTYPES[dtype].bytes * count;
  if (size !== bytes.length) {
    const path = `${place}.parameters.binary_data_size`;
    throw invalid(
      path,
      `${path}: expected ${size} bytes for ${DATATYPES[dtype]} [${dims.join(',')}], got ${bytes.length}`,
    );
  }
  if (dtype === 'bool') checkBools(bytes, place);
  return { dtype, dims, data: viewOf(bytes, dtype, count) };
}

/**
 * Decodes the one input of a raw binary request (Triton, binary tensor data extension), whose body is the input's data alone: a
 * batch of one row if rows are joined, and at most one further dimension of any length, which follows from the data's length. The
 * body of a BYTES input is one text, or the bytes of one element, without its length before it.
 * @throws ServingError `INVALID_INPUT`.
 */
export function readRaw(body: Uint8Array, { inputs }: Signature, joinsRows: boolean): Tensor {
  const [spec, ...more] = inputs;
  const advice = 'send a JSON text before the data, and its length as Inference-Header-Content-Length';
  if (spec === undefined || more.length > 0) {
    throw invalid(
      undefined,
      `a raw binary request is for a model of one input, and this one has ${inputs.length}: ${advice}`,
    );
  }
  const { name, dtype, shape } = spec;
  if (spec.anyRank) throw invalid(undefined, `input ${name} takes tensors of any rank: ${advice}`);
  const known = shape.map((dim, axis) => (axis === 0 && dim === -1 && joinsRows ? 1 : dim));
  if (dtype === 'string') {
    const dims = known.map((dim) => (dim === -1 ? 1 : dim));
    if (elementCount(dims) !== 1)
      throw invalid(undefined, `input ${name} takes ${elementCount(dims)} texts: ${advice}`);
    if (spec.bytes === true) return { dtype, dims, data: [bytesOf(body)] };
    if (!isUtf8(body)) throw invalid(undefined, `input ${name}: expected UTF-8`);
    const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString();
    checkText(text, () => `input ${name}`);
    return { dtype, dims, data: [text] };
  }
  const free = known.indexOf(-1);
  if (free !== known.lastIndexOf(-1)) {
    throw invalid(
      undefined,
      `input ${name} has more than one dimension of any length, [${shape.join(',')}]: ${advice}`,
    );
  }
  const each = DTYPES[dtype].bytes * elementCount(known.map((dim) => (dim === -1 ? 1 : dim)));
  const times = each === 0 ? 0 : body.length / each;
  const dims = known.map((dim) => (dim === -1 ? times : dim));
  if (Number.isInteger(times) && DTYPES[dtype].bytes * elementCount(dims) === body.length) {
    if (dtype === 'bool') checkBools(body, 'the body');
    return { dtype, dims, data: viewOf(body, dtype, elementCount(dims)) };
  }
  const multiple = free === -1 ? `${each} bytes` : `a multiple of ${each} bytes`;
  throw invalid(
    undefined,
    `the body: expected ${multiple} for ${DATATYPES[dtype]} [${known.join(',')}], got ${body.length}`,
  );
}

function viewOf(bytes: Uint8Array, dtype: Exclude<DType, 'string'>, count: number): NumericData {
  const { bytes: size, view } = DTYPES[dtype];
  if (bytes.byteOffset % size === 0) return view(bytes.buffer, bytes.byteOffset, count);
  const aligned = new Uint8Array(bytes.length);
  aligned.set(bytes);
  return view(aligned.buffer, 0, count);
}

function checkBools(bytes: Uint8Array, place: string): void {
  // One check a tensor: or'ed together they are 0 or 1.
  let seen = 0;
  for (let i = 0; i < bytes.length; i++) seen |= bytes[i]!;
  if (seen <= 1) return;
  const at = bytes.findIndex((byte) => byte > 1);
  throw invalid(undefined, `${place}: expected a byte of 0 or 1 for each BOOL, got ${bytes[at]} at byte ${at}`);
}

const bytesOf = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('latin1');

/** @param place of the text, for the error. @throws ServingError `INVALID_INPUT` */
function textOf(bytes: Buffer, place: string): string {
  if (!isUtf8(bytes)) throw invalid(undefined, `${place} is not UTF-8`);
  const text = bytes.toString('utf8');
  checkText(text, () => place);
  return text;
}

/** @param read reads an element */
function readElements(
  bytes: Uint8Array,
  count: number,
  place: string,
  read: (element: Buffer, place: string) => string,
): string[] {
  const path = `${place}.parameters.binary_data_size`;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // Each element takes at least the bytes of its length: no list is allocated that the bytes cannot fill.
  if (count * LENGTH_BYTES > buffer.length) {
    throw invalid(path, `${path}: expected ${count} texts with their lengths, got ${buffer.length} bytes`);
  }
  const texts = new Array<string>(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const from = at + LENGTH_BYTES;
    if (from > buffer.length) throw invalid(path, `${path}: the data ends before the length of text ${i} of ${count}`);
    at = from + buffer.readUInt32LE(at);
    if (at > buffer.length) throw invalid(path, `${path}: the data ends within text ${i} of ${count}`);
    texts[i] = read(buffer.subarray(from, at), `${place}: text ${i}`);
  }
  if (at === buffer.length) return texts;
  throw invalid(path, `${path}: ${buffer.length - at} bytes are left behind ${count} texts`);
}
