/** The array of a tensor's elements, by datatype. FP16 is raw bits; 64-bit integers keep all digits. */
export interface TensorData {
  BOOL: boolean[];
  UINT8: Uint8Array;
  UINT16: Uint16Array;
  UINT32: Uint32Array;
  UINT64: BigUint64Array;
  INT8: Int8Array;
  INT16: Int16Array;
  INT32: Int32Array;
  INT64: BigInt64Array;
  FP16: Uint16Array;
  FP32: Float32Array;
  FP64: Float64Array;
  BYTES: string[];
}

/** The element types of the Open Inference Protocol. */
export type Datatype = keyof TensorData;

/** A dense tensor: elements in row-major order, the product of `shape` many. */
export interface Tensor<D extends Datatype = Datatype> {
  readonly datatype: D;
  readonly shape: readonly number[];
  readonly data: TensorData[D];
}

type Numeric = Exclude<Datatype, 'BOOL' | 'BYTES'>;

/** A tensor of any datatype, discriminated by `datatype`. */
export type AnyTensor = { [D in Datatype]: Tensor<D> }[Datatype];

interface ArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): TensorData[Numeric];
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TensorData[Numeric];
}

/** The typed array of each datatype; BOOL and BYTES have none. */
export const ARRAYS: Readonly<Record<Numeric, ArrayType>> = {
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

/** Whether a value is the name of a datatype. */
export const isDatatype = (name: unknown): name is Datatype =>
  name === 'BOOL' || name === 'BYTES' || (typeof name === 'string' && Object.hasOwn(ARRAYS, name));

/** Whether the elements of a datatype are in a typed array. */
export const isNumeric = (datatype: Datatype): datatype is Numeric => datatype !== 'BOOL' && datatype !== 'BYTES';

/** The number of elements of a tensor. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, dim) => count * dim, 1);
}

/** Checks that a tensor's data fits its datatype and shape. @throws TypeError with the tensor's name, what was expected and what was given. */
export function checkTensor(name: string, { datatype, shape, data }: Tensor): void {
  if (!isDatatype(datatype)) throw new TypeError(`${name}: ${datatype} is not a datatype of the protocol`);
  const expected = isNumeric(datatype) ? ARRAYS[datatype] : Array;
  if (!(data instanceof expected)) throw new TypeError(`${name}: ${datatype} takes its data as ${expected.name}`);
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    throw new TypeError(`${name}: shape takes integers from 0 on, got [${shape}]`);
  const count = elementCount(shape);
  if (count !== data.length)
    throw new TypeError(`${name}: shape [${shape}] holds ${count} elements, data has ${data.length}`);
}
