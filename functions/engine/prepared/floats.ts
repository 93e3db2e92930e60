import type { Tensor } from '../../tensor/tensor.ts';

/** Taken before the engine's runtime removes the global class: see `loadRuntime`. */
const { Float16Array: Half } = globalThis;

/** The values of a tensor of floating-point numbers as float32; undefined for another dtype. Those of a float32 tensor are not copied. */
export function toFloats({ dtype, data }: Tensor): Float32Array | undefined {
  if (dtype === 'float32') return data as Float32Array;
  if (dtype === 'float64') return Float32Array.from(data as Float64Array);
  if (dtype !== 'float16') return undefined;
  const { buffer, byteOffset, length } = data as Uint16Array;
  return Float32Array.from(new Half(buffer, byteOffset, length));
}
