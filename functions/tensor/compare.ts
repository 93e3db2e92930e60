import { DTYPES, elementCount, type Tensor, type TensorData, valuesOf } from './tensor.ts';

/** The first element in which two tensors differ, or their shapes. */
interface Difference {
  /** Index of the element, row-major. */
  readonly at: number;
  readonly expected: string;
  readonly got: string;
  /** |got - expected|; NaN for shapes, and for elements that are not floats. */
  readonly by: number;
}

/**
 * Finds the first element, row-major, in which two tensors differ by more than `tolerance` × max(1, |expected|). Integers, strings
 * and booleans must be equal; NaN equals NaN. Undefined if there is none.
 */
export function findDifference(expected: Tensor, got: Tensor, tolerance: number): Difference | undefined {
  if (expected.dims.join() !== got.dims.join()) {
    return { at: 0, expected: `shape [${expected.dims}]`, got: `shape [${got.dims}]`, by: Number.NaN };
  }
  const float = expected.dtype.startsWith('float');
  const left = valuesOf(expected);
  const right = valuesOf(got);
  for (let at = 0; at < left.length; at++) {
    const a = left[at]!;
    const b = right[at]!;
    if (a === b) continue;
    const by = float ? Math.abs(Number(b) - Number(a)) : Number.NaN;
    // If the expected value is infinite, so is the tolerance, but an infinite difference must not pass.
    const near = by < Number.POSITIVE_INFINITY && by <= tolerance * Math.max(1, Math.abs(Number(a)));
    if (float && (near || (Number.isNaN(a) && Number.isNaN(b)))) continue;
    return { at, expected: String(a), got: String(b), by };
  }
  return undefined;
}

/** Copies rows `first` to `first + rows` (exclusive) of a tensor to a new tensor. */
export function sliceRows(tensor: Tensor, first: number, rows: number): Tensor {
  const size = elementCount(tensor.dims.slice(1));
  const data = tensor.data.slice(first * size, (first + rows) * size) as TensorData;
  return { dtype: tensor.dtype, dims: [rows, ...tensor.dims.slice(1)], data };
}

/** A synthetic input for trial runs: its values are small, valid for most models, and differ from row to row. */
export function syntheticTensor(dtype: Tensor['dtype'], dims: readonly number[], row: number): Tensor {
  const count = elementCount(dims);
  if (dtype === 'string') return { dtype, dims, data: Array.from({ length: count }, (_, i) => 'abc'[(row + i) % 3]!) };
  const integer = (i: number): number => (dtype === 'bool' ? (row >> (i % 8)) & 1 : (row + i) % 3);
  const data = DTYPES[dtype].make(count);
  for (let i = 0; i < count; i++) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(integer(i));
    else if (!dtype.startsWith('float')) (data as Uint8Array)[i] = integer(i);
    else if (dtype !== 'float16') (data as Float32Array)[i] = (10 + 20 * ((row * 7 + i) % 5) + 5 * row) / 100;
  }
  if (dtype === 'float16') {
    const halves = Float16Array.from({ length: count }, (_, i) => 0.1 + 0.2 * ((row * 7 + i) % 5) + 0.05 * row);
    return { dtype, dims, data: new Uint16Array(halves.buffer) };
  }
  return { dtype, dims, data };
}
