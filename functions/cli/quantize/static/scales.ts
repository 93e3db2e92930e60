import {
  channelRanges,
  channelsOf,
  linearParameters,
  oneChannel,
  type QuantizedDtype,
  type QuantizedElements,
  quantizeWith,
} from '../kernels/linear.ts';
import type { Range } from './histogram.ts';

/** The scales and zero points of a value or a constant: one, or one for each channel. */
export interface Scales {
  readonly dtype: QuantizedDtype;
  readonly scales: Float32Array<ArrayBuffer>;
  readonly zeroPoints: QuantizedElements;
}

/** The scale of a value between nodes, with a zero point. */
export function parametersOfRange({ min, max }: Range, dtype: QuantizedDtype): Scales {
  const { scale, zeroPoint } = linearParameters(min, max, dtype, { isSymmetric: false });
  return { dtype, scales: Float32Array.of(scale), zeroPoints: integersOf(dtype, [zeroPoint]) };
}

interface ConstantOptions {
  readonly dims: readonly number[];
  /** The axis of the channels, each with a scale; undefined for one scale. */
  readonly axis: number | undefined;
  readonly dtype: QuantizedDtype;
  readonly isSymmetric: boolean;
  readonly isReduced: boolean;
  /** Scales that are smaller become these. One for each channel, or one. */
  readonly leastScales: Float32Array | undefined;
}

/** Quantizes a constant; undefined if an element is not finite. */
export function quantizeConstant(
  values: Float32Array,
  { dims, axis, dtype, leastScales, ...options }: ConstantOptions,
): (Scales & { readonly data: QuantizedElements }) | undefined {
  if (!values.every(Number.isFinite)) return undefined;
  const channels = axis === undefined ? oneChannel(values) : channelsOf(dims, axis);
  const { min, max } = channelRanges(values, channels);
  const all = Array.from(min, (low, c) => linearParameters(low, max[c]!, dtype, options));
  const least = (c: number): number => (leastScales?.length === all.length ? leastScales[c]! : 0);
  const scales = Float32Array.from(all, ({ scale }, c) => Math.max(scale, least(c)));
  const zeroPoints = integersOf(
    dtype,
    all.map(({ zeroPoint }) => zeroPoint),
  );
  return { dtype, scales, zeroPoints, data: quantizeWith(values, channels, dtype, { scales, zeroPoints }) };
}

function integersOf(dtype: QuantizedDtype, values: readonly number[]): QuantizedElements {
  return dtype === 'int8' ? Int8Array.from(values) : Uint8Array.from(values);
}
