/** Element types of 8 bits that a linear quantization writes. */
export type QuantizedDtype = 'int8' | 'uint8';

/** Elements of a quantized tensor. */
export type QuantizedElements = Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

export interface LinearOptions {
  /** The zero point is the middle of the integers: 0 for int8, 127 or 128 for uint8. Otherwise the range decides. */
  readonly isSymmetric: boolean;
  /** 7 bits instead of 8: CPUs without VNNI saturate sums of products of 8 bits. Default: false. */
  readonly isReduced?: boolean;
}

/** A real number r is about `scale * (q - zeroPoint)`. `scale` is a float32 above 0. */
export interface LinearParameters {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** The smallest positive normal float32: a scale below it divides no float32. */
const TINY = 2 ** -126;
/** In 64-bit arithmetic, the sum with this number has no fraction: the CPU rounds it, ties to even. */
const ROUNDER = 1.5 * 2 ** 52;

/** Rounds to the nearest integer, ties to the even one, as numpy's `round`. @param x below 2^51 in magnitude */
export function roundHalfToEven(x: number): number {
  return x + ROUNDER - ROUNDER;
}

/** The integers that a quantization uses: -127 to 127, -64 to 64 (reduced), -128 to 127, 0 to 255 or 0 to 127 (reduced). */
export function integerRange(
  dtype: QuantizedDtype,
  { isSymmetric, isReduced = false }: LinearOptions,
): [min: number, max: number] {
  if (dtype === 'uint8') return [0, isReduced ? 127 : 255];
  if (isReduced) return [-64, 64];
  return [isSymmetric ? -127 : -128, 127];
}

/**
 * Scale and zero point for real numbers from `min` to `max`, float32; 0 is always representable, exactly.
 * The rule is `compute_scale_zp` of onnxruntime's Python quantizer, float64 between the steps included.
 */
export function linearParameters(
  min: number,
  max: number,
  dtype: QuantizedDtype,
  options: LinearOptions,
): LinearParameters {
  const [qmin, qmax] = integerRange(dtype, options);
  let low = Math.min(min, 0);
  let high = Math.max(max, 0);
  if (options.isSymmetric) {
    high = Math.max(-low, high);
    low = -high;
  }
  const scale = Math.fround(high - low) / (qmax - qmin);
  if (!(scale >= TINY)) return { scale: 1, zeroPoint: 0 };
  const zeroPoint = options.isSymmetric ? roundHalfToEven((qmin + qmax) / 2) : roundHalfToEven(qmin - low / scale);
  return { scale: Math.fround(scale), zeroPoint };
}

/** A tensor as [outer, channels, inner]: each channel has its own scale. One channel: one scale for the tensor. */
export interface Channels {
  readonly outer: number;
  readonly channels: number;
  readonly inner: number;
}

/** The channels of a tensor along an axis. @param axis negative ones count from the end */
export function channelsOf(dims: readonly number[], axis: number): Channels {
  const at = axis < 0 ? axis + dims.length : axis;
  const product = (sizes: readonly number[]): number => sizes.reduce((total, size) => total * size, 1);
  return { outer: product(dims.slice(0, at)), channels: dims[at] ?? 1, inner: product(dims.slice(at + 1)) };
}

/** The whole tensor as one channel. */
export function oneChannel(values: { readonly length: number }): Channels {
  return { outer: 1, channels: 1, inner: values.length };
}

/** Smallest and largest element of each channel. @throws RangeError for an element that is NaN or infinite */
export function channelRanges(
  values: Float32Array,
  { outer, channels, inner }: Channels,
): { min: Float32Array; max: Float32Array } {
  const min = new Float32Array(channels).fill(Number.POSITIVE_INFINITY);
  const max = new Float32Array(channels).fill(Number.NEGATIVE_INFINITY);
  // Stays 0 as long as all elements are finite: 0 times NaN or infinity is NaN.
  let check = 0;
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      let low = min[c]!;
      let high = max[c]!;
      for (const end = at + inner; at < end; at++) {
        const value = values[at]!;
        check += value * 0;
        if (value < low) low = value;
        if (value > high) high = value;
      }
      min[c] = low;
      max[c] = high;
    }
  }
  if (check !== 0) throw new RangeError('an element is NaN or infinite');
  return { min, max };
}

export interface QuantizedTensor {
  /** In the order of the elements. */
  readonly data: QuantizedElements;
  /** One for each channel. */
  readonly scales: Float32Array<ArrayBuffer>;
  readonly zeroPoints: QuantizedElements;
}

/**
 * Quantizes a tensor with a scale for each channel, as onnxruntime's Python quantizer does: the quotient is a float32, rounded to
 * the nearest integer, ties to even, and clipped; int8 never has -128.
 * @throws RangeError for an element that is NaN or infinite
 */
export function quantizeChannels(
  values: Float32Array,
  channels: Channels,
  dtype: QuantizedDtype,
  options: LinearOptions,
): QuantizedTensor {
  const { min, max } = channelRanges(values, channels);
  const scales = new Float32Array(channels.channels);
  const zeroPoints = elementsOf(dtype, channels.channels);
  for (let c = 0; c < channels.channels; c++) {
    const parameters = linearParameters(min[c]!, max[c]!, dtype, options);
    scales[c] = parameters.scale;
    zeroPoints[c] = parameters.zeroPoint;
  }
  return { data: quantizeWith(values, channels, dtype, { scales, zeroPoints }), scales, zeroPoints };
}

/** Quantizes a tensor with given scales and zero points, one for each channel; see `quantizeChannels`. */
export function quantizeWith(
  values: Float32Array,
  { outer, channels, inner }: Channels,
  dtype: QuantizedDtype,
  { scales, zeroPoints }: Pick<QuantizedTensor, 'scales' | 'zeroPoints'>,
): QuantizedElements {
  const [low, high] = integerRange(dtype, { isSymmetric: true });
  const data = elementsOf(dtype, values.length);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      const scale = scales[c]!;
      const zeroPoint = zeroPoints[c]!;
      for (const end = at + inner; at < end; at++) {
        const q = Math.fround(values[at]! / scale) + ROUNDER - ROUNDER + zeroPoint;
        data[at] = q < low ? low : q > high ? high : q;
      }
    }
  }
  return data;
}

function elementsOf(dtype: QuantizedDtype, count: number): QuantizedElements {
  return dtype === 'int8' ? new Int8Array(count) : new Uint8Array(count);
}
