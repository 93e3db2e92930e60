import { roundHalfToEven } from '../kernels/linear.ts';
import type { Bias } from './rules.ts';

/** A bias, with the name of the constant. */
export interface NamedBias extends Bias {
  readonly name: string;
}

const MOST = 2 ** 31 - 1;
const LEAST = -(2 ** 31);

/**
 * The bias as int32, whose scale is that of the products: the scale of the input times that of the weight. onnxruntime adds it to the
 * sums of integer products.
 * @param rank of the bias
 * @returns undefined if it does not follow the channels of the weight, or is not finite
 */
export function quantizeBias(
  { beta }: Bias,
  inputScale: number,
  weightScales: Float32Array,
  values: Float32Array,
  rank: number,
): { readonly data: Int32Array<ArrayBuffer>; readonly scales: Float32Array<ArrayBuffer> } | undefined {
  const channels = weightScales.length;
  if (channels > 1 && (rank !== 1 || values.length !== channels)) return undefined;
  if (!values.every(Number.isFinite)) return undefined;
  const scales = Float32Array.from(weightScales, (scale) => inputScale * scale);
  const data = Int32Array.from(values, (value, i) => {
    const q = roundHalfToEven((value * beta) / scales[channels > 1 ? i : 0]!);
    return Math.min(MOST, Math.max(LEAST, q));
  });
  return { data, scales };
}

/** The smallest scales of a weight with which its bias fits into int32: one for each element of the bias. */
export function leastScales({ beta }: Bias, inputScale: number, values: Float32Array): Float32Array {
  return values.map((value) => Math.abs(value * beta) / (inputScale * MOST));
}
