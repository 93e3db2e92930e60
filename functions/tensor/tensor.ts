/** The ONNX element types that onnxruntime-node supports, by its names for them. */
export type DType =
  | 'float16'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool'
  | 'string';

/** The elements of a numeric tensor. `float16` is stored as its raw 16 bits, `bool` as one byte of 0 or 1. */
export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** The elements of any tensor, row-major. */
export type TensorData = NumericData | string[];

/** A dense, row-major tensor. The product of `dims` is `data.length`. */
export interface Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** Named tensors, in the order of the signature. */
export type Tensors = ReadonlyMap<string, Tensor>;

/** One input or output of a model. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: DType;
  /** A `-1` is a dimension that the caller chooses. */
  readonly shape: readonly number[];
  /** The model leaves the rank open, and accepts any: `shape` is empty then. Without this, an empty shape is rank 0. */
  readonly anyRank?: true;
  /** The elements of a string input are bytes, such as those of a picture: each as a text of one character (U+0000 to U+00FF) a byte. */
  readonly bytes?: true;
  /** The names of an input's dimensions in the model; null for one without a name. Absent if none has a name. */
  readonly dimNames?: readonly (string | null)[];
  /** Of strings: each is a JSON text, which rows and instances have as JSON; dialects of tensors have the string. */
  readonly json?: true;
}

/** The inputs and outputs of a model. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/** How a caller's elements are read: as values of a dtype, or as bytes: see `TensorSpec.bytes`. */
export type ElementType = DType | 'bytes';

/** How the elements of an input are read. */
export const elementTypeOf = ({ dtype, bytes }: Pick<TensorSpec, 'dtype' | 'bytes'>): ElementType =>
  bytes === true ? 'bytes' : dtype;

interface DTypeInfo {
  /** Bytes of an element; 0 for strings, whose size varies. */
  readonly bytes: number;
  readonly make: (length: number) => TensorData;
  /** A view of `length` elements; `offset` is aligned to `bytes`. */
  readonly view: (buffer: ArrayBufferLike, offset: number, length: number) => NumericData;
}

function numeric<T extends NumericData>(
  ctor: new (buffer: ArrayBufferLike, offset: number, length: number) => T,
  empty: new (length: number) => T,
  bytes: number,
): DTypeInfo {
  return { bytes, make: (n) => new empty(n), view: (b, o, n) => new ctor(b, o, n) };
}

const noView = (): never => {
  throw new TypeError('strings have no view');
};

/** The element size and the storage of each dtype: the only table of them. */
export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  float16: numeric(Uint16Array, Uint16Array, 2),
  float32: numeric(Float32Array, Float32Array, 4),
  float64: numeric(Float64Array, Float64Array, 8),
  int8: numeric(Int8Array, Int8Array, 1),
  int16: numeric(Int16Array, Int16Array, 2),
  int32: numeric(Int32Array, Int32Array, 4),
  int64: numeric(BigInt64Array, BigInt64Array, 8),
  uint8: numeric(Uint8Array, Uint8Array, 1),
  uint16: numeric(Uint16Array, Uint16Array, 2),
  uint32: numeric(Uint32Array, Uint32Array, 4),
  uint64: numeric(BigUint64Array, BigUint64Array, 8),
  bool: numeric(Uint8Array, Uint8Array, 1),
  string: { bytes: 0, make: (n) => new Array<string>(n).fill(''), view: noView },
};

/** Whether onnxruntime-node supports an element type. It has names for some, such as int4, that it does not support. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPES, name);
}

/** `float16` data as numbers: a view, not a copy. */
export function float16View(data: TensorData): Float16Array {
  const { buffer, byteOffset, length } = data as Uint16Array;
  return new Float16Array(buffer, byteOffset, length);
}

/** The values of a tensor's elements: its data, or for `float16` a view of it as numbers. */
export function valuesOf({ dtype, data }: Tensor): ArrayLike<number | bigint | string> {
  return dtype === 'float16' ? float16View(data) : data;
}

/** The number of elements of a tensor with these dims; 1 for a scalar (no dims). */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) count *= dim;
  return count;
}
