import type { JoinedTensor } from '../../functions/engine/process/frame.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';

export function float32(dims: readonly number[], values: readonly number[]): Tensor {
  return { dtype: 'float32', dims, data: Float32Array.from(values) };
}

/** A column of float32, shape [N,1]. */
export function column(...values: number[]): Tensor {
  return float32([values.length, 1], values);
}

/** Tensors as a run takes them: the first for input 0, and so on. */
export function joined(...tensors: Tensor[]): JoinedTensor[] {
  return tensors.map(({ dtype, dims, data }, slot) => ({ slot, dtype, dims, parts: [data] }));
}
