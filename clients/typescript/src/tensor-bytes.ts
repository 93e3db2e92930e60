import { badAnswer } from './client-error.ts';
import { ARRAYS, type Datatype, elementCount, isNumeric, type Tensor, type TensorData } from './tensor.ts';

/** Source: the binary tensor data extension of the Open Inference Protocol: little-endian, row-major, no padding. */

const encoder = new TextEncoder();
/** Malformed text is an error: silently replacing a byte would give a wrong result. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** Bytes before each element of BYTES that hold its length. */
const LENGTH_BYTES = 4;

/** The bytes of a tensor: a view of its data if possible, else a copy. */
export function encodeTensor({ datatype, data }: Tensor): Uint8Array {
  if (datatype === 'BOOL') return Uint8Array.from(data as TensorData['BOOL'], Number);
  if (datatype === 'BYTES') return encodeStrings(data as TensorData['BYTES']);
  const { buffer, byteOffset, byteLength, BYTES_PER_ELEMENT } = data as Uint8Array;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  return IS_LITTLE_ENDIAN ? bytes : swapped(bytes.slice(), BYTES_PER_ELEMENT);
}

/**
 * Decodes the bytes of a tensor. The result is a view of them if possible, else a copy.
 * @param name of the tensor, for errors
 * @throws ClientError `BAD_ANSWER` if the bytes do not fit the datatype and shape.
 */
export function decodeTensor<D extends Datatype>(
  name: string,
  datatype: D,
  shape: readonly number[],
  bytes: Uint8Array<ArrayBuffer>,
): TensorData[D] {
  const count = elementCount(shape);
  if (datatype === 'BYTES') return decodeStrings(name, count, bytes) as TensorData[D];
  const size = isNumeric(datatype) ? ARRAYS[datatype].BYTES_PER_ELEMENT : 1;
  if (bytes.length !== count * size)
    throw badAnswer(`${name}: ${datatype} [${shape}] takes ${count * size} bytes, the response has ${bytes.length}`);
  if (!isNumeric(datatype)) return Array.from(bytes, (byte) => byte !== 0) as TensorData[D];
  const aligned = bytes.byteOffset % size === 0 && IS_LITTLE_ENDIAN ? bytes : swapped(bytes.slice(), size);
  return new ARRAYS[datatype](aligned.buffer, aligned.byteOffset, count) as TensorData[D];
}

function encodeStrings(texts: readonly string[]): Uint8Array {
  const parts = texts.map((text) => encoder.encode(text));
  const bytes = new Uint8Array(parts.reduce((length, part) => length + LENGTH_BYTES + part.length, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.length, true);
    bytes.set(part, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + part.length;
  }
  return bytes;
}

function decodeStrings(name: string, count: number, bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const texts: string[] = [];
  let offset = 0;
  while (offset + LENGTH_BYTES <= bytes.length) {
    const from = offset + LENGTH_BYTES;
    const to = from + view.getUint32(offset, true);
    if (to > bytes.length) break;
    texts.push(decodeText(name, bytes.subarray(from, to)));
    offset = to;
  }
  if (offset !== bytes.length || texts.length !== count)
    throw badAnswer(`${name}: expected ${count} elements of BYTES, the ${bytes.length} bytes hold ${texts.length}`);
  return texts;
}

function decodeText(name: string, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw badAnswer(`${name}: an element of BYTES is not UTF-8`, error);
  }
}

/** Reverses the bytes of each element in place on a big-endian machine. */
function swapped<B extends Uint8Array>(bytes: B, size: number): B {
  if (IS_LITTLE_ENDIAN) return bytes;
  for (let offset = 0; offset < bytes.length; offset += size) bytes.subarray(offset, offset + size).reverse();
  return bytes;
}
