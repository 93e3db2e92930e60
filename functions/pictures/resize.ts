import { convolveColumns, convolveRows, PRECISION_BITS, type Weights } from './convolve.ts';
import { CHANNELS, type Pixels } from './pixels.ts';
import { simd } from './simd.ts';

/** The filters of Pillow, by the names that Pillow gives them. */
export type Filter = 'nearest' | 'box' | 'bilinear' | 'hamming' | 'bicubic' | 'lanczos';

/** A rectangle of the resized picture. It may reach beyond the edges: pixels there are zero, as a centre crop pads. */
export interface Window {
  left: number;
  top: number;
  width: number;
  height: number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/** The kernels of Pillow's Resample.c, and how far each reaches from its centre. */
const KERNELS: Record<Exclude<Filter, 'nearest'>, { support: number; weight(x: number): number }> = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight(x) {
      const t = Math.abs(x);
      return t === 0 ? 1 : t >= 1 ? 0 : sinc(t) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(t * Math.PI));
    },
  },
  bicubic: {
    support: 2,
    weight(x) {
      const t = Math.abs(x);
      if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * -0.5 : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * Resizes a picture as Pillow's `Image.resize` does, to the same bytes, and returns a rectangle of the result. Only that
 * rectangle is computed: its cost and memory depend on the source and the rectangle, not on the size between them.
 * Source: ImagingResample and ImagingScaleAffine of Pillow.
 * @param size width and height that the whole picture would have, each at least 1
 * @param window the rectangle to return; default: the whole
 */
export function resize(
  image: Pixels,
  size: { width: number; height: number },
  filter: Filter,
  window: Window = { left: 0, top: 0, ...size },
): Pixels {
  const inner = intersect(window, size);
  const { columns, rows } = { columns: inner.width, rows: inner.height };
  if (columns === 0 || rows === 0) return blank(window);
  const part = filter === 'nearest' ? pick(image, size, inner) : convolve(image, size, filter, inner);
  if (columns === window.width && rows === window.height) return part;
  return place(part, inner.left - window.left, inner.top - window.top, window);
}

/**
 * The bytes that {@link resize} makes, beside the source: between its passes, the weights, and the result. A limit is
 * checked with it before the picture is decoded.
 */
export function bytesMade(
  image: { width: number; height: number },
  size: { width: number; height: number },
  window: Window,
): number {
  const inner = intersect(window, size);
  const columns = needed(image.width, size.width, inner.width);
  const rows = needed(image.height, size.height, inner.height);
  const between = shrinksDownFirst(image, size) ? columns * (rows + inner.height) : rows * inner.width;
  const weights = (columns / inner.width + 8) * inner.width + (rows / inner.height + 8) * inner.height;
  return (between + window.width * window.height) * CHANNELS + weights * 4 * WIDEST;
}

/** How far the widest kernel reaches: 3 to each side. */
const WIDEST = 6;

/** Source indexes that `count` of the output indexes need, at most. */
function needed(from: number, to: number, count: number): number {
  const scale = from / to;
  return Math.min(from, Math.ceil(count * scale + WIDEST * Math.max(1, scale)) + 2);
}

function intersect(window: Window, size: { width: number; height: number }): Window {
  const left = Math.min(Math.max(0, window.left), size.width);
  const top = Math.min(Math.max(0, window.top), size.height);
  const right = Math.min(size.width, window.left + window.width);
  const bottom = Math.min(size.height, window.top + window.height);
  return { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

function blank(size: { width: number; height: number }): Pixels {
  return { data: new Uint8Array(size.width * size.height * CHANNELS), width: size.width, height: size.height };
}

/**
 * Copies a picture into a black one.
 * @param left column of the target at which the picture begins
 * @param top row of the target at which the picture begins
 */
export function place(part: Pixels, left: number, top: number, size: { width: number; height: number }): Pixels {
  const target = blank(size);
  const stride = part.width * CHANNELS;
  for (let y = 0; y < part.height; y++) {
    const row = part.data.subarray(y * stride, (y + 1) * stride);
    target.data.set(row, ((top + y) * size.width + left) * CHANNELS);
  }
  return target;
}

/** The nearest pixel. The position is a running sum, as Pillow's is: a product rounds otherwise. */
function pick(image: Pixels, size: { width: number; height: number }, window: Window): Pixels {
  const columns = nearest(image.width, size.width, window.left, window.width);
  const rows = nearest(image.height, size.height, window.top, window.height);
  const result = blank(window);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * image.width + column) * CHANNELS;
      result.data[to++] = image.data[from]!;
      result.data[to++] = image.data[from + 1]!;
      result.data[to++] = image.data[from + 2]!;
    }
  }
  return result;
}

function nearest(from: number, to: number, start: number, count: number): Int32Array {
  const step = from / to;
  const indexes = new Int32Array(count);
  let position = step * 0.5;
  for (let i = 0; i < start; i++) position += step;
  for (let i = 0; i < count; i++, position += step) indexes[i] = Math.min(from - 1, Math.trunc(position));
  return indexes;
}

const scalar = { convolveRows, convolveColumns };

/**
 * Two passes, each rounded to uint8; a pass that keeps the size is left out. The rows' widths change first, unless the
 * height shrinks, and by more than the width: that is the order of Pillow 13, and the results differ by one level.
 */
function convolve(
  image: Pixels,
  size: { width: number; height: number },
  filter: Exclude<Filter, 'nearest'>,
  window: Window,
): Pixels {
  const across =
    size.width === image.width ? undefined : weigh(image.width, size.width, filter, window.left, window.width);
  const down =
    size.height === image.height ? undefined : weigh(image.height, size.height, filter, window.top, window.height);
  const { convolveRows, convolveColumns } = simd() ?? scalar;
  const columns = reach(across, window.left, window.width);
  const rows = reach(down, window.top, window.height);
  if (!shrinksDownFirst(image, size) || across === undefined) {
    const between =
      across === undefined
        ? cut(image, rows, columns)
        : convolveRows(cut(image, rows, { first: 0, count: image.width }), 0, across);
    return down === undefined ? between : convolveColumns(between, rows.first, down);
  }
  return convolveRows(convolveColumns(cut(image, rows, columns), rows.first, down!), columns.first, across);
}

const shrinksDownFirst = (image: { width: number; height: number }, size: { width: number; height: number }): boolean =>
  size.height < image.height && size.height * image.width < size.width * image.height;

/** The source indexes that some output indexes need. */
function reach(weights: Weights | undefined, start: number, count: number): { first: number; count: number } {
  if (weights === undefined) return { first: start, count };
  const first = weights.first[0]!;
  return { first, count: weights.first[count - 1]! + weights.count[count - 1]! - first };
}

/** A rectangle of a picture: without a copy if it has the whole width. */
function cut(image: Pixels, rows: { first: number; count: number }, columns: { first: number; count: number }): Pixels {
  const stride = image.width * CHANNELS;
  if (columns.count === image.width) {
    const data = image.data.subarray(rows.first * stride, (rows.first + rows.count) * stride);
    return { data, width: image.width, height: rows.count };
  }
  const result = blank({ width: columns.count, height: rows.count });
  const length = columns.count * CHANNELS;
  for (let y = 0; y < rows.count; y++) {
    const from = (rows.first + y) * stride + columns.first * CHANNELS;
    result.data.set(image.data.subarray(from, from + length), y * length);
  }
  return result;
}

/** The weights for output indexes `start` to `start + count`, normalised, then rounded to fixed point. */
function weigh(from: number, to: number, filter: Exclude<Filter, 'nearest'>, start: number, count: number): Weights {
  const kernel = KERNELS[filter];
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const support = kernel.support * stretch;
  const stride = Math.ceil(support) * 2 + 1;
  const weights = {
    first: new Int32Array(count),
    count: new Int32Array(count),
    values: new Int32Array(count * stride),
    stride,
  };
  const raw = new Float64Array(stride);
  const shrink = 1 / stretch;
  for (let i = 0; i < count; i++) {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const taps = Math.min(from, Math.trunc(centre + support + 0.5)) - first;
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const weight = kernel.weight((k + first - centre + 0.5) * shrink);
      raw[k] = weight;
      sum += weight;
    }
    for (let k = 0; k < taps; k++) {
      const weight = (sum === 0 ? raw[k]! : raw[k]! / sum) * (1 << PRECISION_BITS);
      weights.values[i * stride + k] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    weights.first[i] = first;
    weights.count[i] = taps;
  }
  return weights;
}
