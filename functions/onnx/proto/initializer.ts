import { create } from '@bufbuild/protobuf';
import { DATA_TYPES, type DataTypeName } from '../data-type.ts';
import { type TensorProto, TensorProtoSchema } from './onnx_pb.ts';

/** The array whose bytes are the file's `raw_data`: little-endian, one element each, bool as one byte. */
const STORAGE = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} satisfies Partial<Record<DataTypeName, unknown>>;

export type InitializerType = keyof typeof STORAGE | 'string';

export type InitializerData =
  | InstanceType<(typeof STORAGE)[keyof typeof STORAGE]>
  | readonly number[]
  | readonly string[];

/**
 * A constant tensor of a graph.
 *
 * @param dims its shape; `[]` is a scalar
 * @param data row-major elements: the dtype's own array (float16 as its raw bits, bool as bytes), strings, or plain
 *   numbers, which are converted (float16 excepted)
 * @throws TypeError if `data` is of another kind than `dtype`, RangeError if its length does not fit `dims`
 */
export function initializer(
  name: string,
  dtype: InitializerType,
  dims: readonly number[],
  data: InitializerData,
): TensorProto {
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (data.length !== count) {
    throw new RangeError(`initializer ${name}: expected ${count} elements for [${dims}], got ${data.length}`);
  }
  const shared = { name, dataType: DATA_TYPES[dtype], dims: dims.map(BigInt) };
  if (dtype === 'string') {
    const items: readonly unknown[] = Array.from<unknown>(data);
    const stringData = items.map((item) => {
      if (typeof item !== 'string') throw mismatch(name, dtype);
      return new TextEncoder().encode(item);
    });
    return create(TensorProtoSchema, { ...shared, stringData });
  }
  return create(TensorProtoSchema, { ...shared, rawData: rawBytes(name, dtype, data) });
}

function rawBytes(name: string, dtype: keyof typeof STORAGE, data: InitializerData): Uint8Array<ArrayBuffer> {
  const Storage = STORAGE[dtype];
  if (data instanceof Storage) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  if (dtype === 'float16' || !isNumbers(data)) throw mismatch(name, dtype);
  const isBig = Storage === BigInt64Array || Storage === BigUint64Array;
  const array = isBig
    ? (Storage as BigInt64ArrayConstructor).from(data.map(BigInt))
    : (Storage as Float32ArrayConstructor).from(data);
  return new Uint8Array(array.buffer);
}

function isNumbers(data: InitializerData): data is readonly number[] {
  return Array.isArray(data) && data.every((item) => typeof item === 'number');
}

function mismatch(name: string, dtype: InitializerType): TypeError {
  return new TypeError(`initializer ${name}: expected the elements of a ${dtype} tensor`);
}
