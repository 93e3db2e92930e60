import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { DATA_TYPES, ELEMENT_BITS } from '../data-type.ts';
import type { TensorProto } from '../proto/onnx_pb.ts';

/** The lists of TensorProto with elements, by their field numbers in onnx.proto. */
const LIST = { float: 4, int32: 5, double: 10, uint64: 11 } as const;

const LIST_OF_TYPE: ReadonlyMap<number, number> = new Map([
  [DATA_TYPES.float32, LIST.float],
  [DATA_TYPES.complex64, LIST.float],
  [DATA_TYPES.float64, LIST.double],
  [DATA_TYPES.complex128, LIST.double],
  [DATA_TYPES.uint32, LIST.uint64],
  [DATA_TYPES.uint64, LIST.uint64],
]);

/**
 * The elements of a tensor without `raw_data`, which are in one of its lists, as `raw_data` would have them: little-endian. int32_data
 * has the integers of up to 32 bits, bool, and the bits of floats of up to 16 (onnx.proto, TensorProto).
 */
export function listedElements(tensor: TensorProto): Uint8Array<ArrayBuffer> {
  if (tensor.dataType === DATA_TYPES.int64) return new Uint8Array(BigInt64Array.from(tensor.int64Data).buffer);
  const number = LIST_OF_TYPE.get(tensor.dataType) ?? LIST.int32;
  const parts = (tensor.$unknown ?? [])
    .filter(({ no }) => no === number)
    .map(({ wireType, data }) => (wireType === WireType.LengthDelimited ? new BinaryReader(data).bytes() : data));
  const isFloats = number === LIST.float || number === LIST.double;
  return isFloats ? new Uint8Array(Buffer.concat(parts)) : integers(parts, number, ELEMENT_BITS.get(tensor.dataType)!);
}

/** @param bits of an element; types below a byte are in the list as whole bytes */
function integers(parts: readonly Uint8Array[], number: number, bits: number): Uint8Array<ArrayBuffer> {
  const readers = parts.map((part) => new BinaryReader(part));
  if (bits === 64)
    return new Uint8Array(BigUint64Array.from(readers.flatMap((reader) => listOf(reader, uint64))).buffer);
  const next = number === LIST.uint64 ? (reader: BinaryReader) => Number(uint64(reader)) : int32;
  const values = readers.flatMap((reader) => listOf(reader, next));
  const width = Math.max(1, bits / 8);
  const raw = new Uint8Array(values.length * width);
  for (const [i, value] of values.entries()) {
    for (let byte = 0; byte < width; byte++) raw[i * width + byte] = value >>> (8 * byte);
  }
  return raw;
}

const int32 = (reader: BinaryReader): number => reader.int32();
const uint64 = (reader: BinaryReader): bigint => BigInt(reader.uint64());

function listOf<T>(reader: BinaryReader, next: (reader: BinaryReader) => T): T[] {
  const values: T[] = [];
  while (reader.pos < reader.len) values.push(next(reader));
  return values;
}
