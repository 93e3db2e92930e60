import { CHANNELS, type Pixels } from './pixels.ts';

/** Where the pixels of a resized picture come from, for a range of its columns or rows. */
export interface Weights {
  /** The first source index of each output index, and how many follow it, at least one. Neither starts nor ends decrease. */
  first: Int32Array;
  count: Int32Array;
  /** Fixed-point weights, `stride` for each output index. */
  values: Int32Array;
  stride: number;
}

/** Bits behind the point of a weight: an int32 less 8 bits of the pixel and 2 bits for overshoot (Pillow's Resample.c). */
export const PRECISION_BITS = 22;
/** What sums begin with, so that they are rounded. */
export const HALF = 1 << (PRECISION_BITS - 1);

/** Each row by itself: the width becomes that of the weights. @param firstColumn the source column that `image` begins with */
export function convolveRows(image: Pixels, firstColumn: number, weights: Weights): Pixels {
  const { first, count, values, stride } = weights;
  const { data, width, height } = image;
  const result = new Uint8ClampedArray(height * first.length * CHANNELS);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const base = y * width - firstColumn;
    for (let x = 0; x < first.length; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let from = (base + first[x]!) * CHANNELS;
      const end = x * stride + count[x]!;
      for (let k = x * stride; k < end; k++, from += CHANNELS) {
        const weight = values[k]!;
        red = (red + Math.imul(data[from]!, weight)) | 0;
        green = (green + Math.imul(data[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(data[from + 2]!, weight)) | 0;
      }
      result[to++] = red >> PRECISION_BITS;
      result[to++] = green >> PRECISION_BITS;
      result[to++] = blue >> PRECISION_BITS;
    }
  }
  return { data: new Uint8Array(result.buffer), width: first.length, height };
}

/** Rows are added up whole, so that memory is read in order. @param firstRow the source row that `image` begins with */
export function convolveColumns(image: Pixels, firstRow: number, weights: Weights): Pixels {
  const { first, count, values, stride } = weights;
  const length = image.width * CHANNELS;
  const result = new Uint8ClampedArray(first.length * length);
  const sums = new Int32Array(length);
  for (let y = 0; y < first.length; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]!; k++) {
      const weight = values[y * stride + k]!;
      const from = (first[y]! - firstRow + k) * length;
      for (let x = 0; x < length; x++) sums[x] = sums[x]! + Math.imul(image.data[from + x]!, weight);
    }
    for (let x = 0; x < length; x++) result[y * length + x] = sums[x]! >> PRECISION_BITS;
  }
  return { data: new Uint8Array(result.buffer), width: image.width, height: first.length };
}
