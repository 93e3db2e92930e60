import { CHANNELS } from './pixels.ts';

/** The arithmetic from uint8 pixels to a model's values: `(pixel * scale - mean) / std`. */
export interface Normalisation {
  scale: number;
  /** Red, green, blue, of the scaled values. */
  mean: readonly [red: number, green: number, blue: number];
  std: readonly [red: number, green: number, blue: number];
  /** The channels' order in the tensor. */
  order: 'RGB' | 'BGR';
}

/** Which values the model's input takes. A uint8 input has the pixels as they are: its arithmetic is in the graph. */
export type PixelType = 'float32' | 'float16' | 'uint8';

/** Kept from the start: engine processes remove the global, which onnxruntime does not read. */
const Halves = Float16Array;

/** The array of each type. A float16 array has the bits, as tensors have them. */
interface PixelArrays {
  float32: Float32Array;
  float16: Uint16Array;
  uint8: Uint8Array;
}

/**
 * Turns pictures of one size into a tensor's values.
 * @param pixels uint8, rows x height x width x 3, red first
 * @param shape of a picture
 * @param layout `NCHW`: rows x 3 x height x width; `NHWC`: rows x height x width x 3
 * @returns as many values as `pixels` has, in that layout
 */
export function normalise<T extends PixelType>(
  pixels: Uint8Array,
  shape: { width: number; height: number },
  how: Normalisation,
  layout: 'NCHW' | 'NHWC',
  type: T,
): PixelArrays[T] {
  const area = shape.width * shape.height;
  const tables = [0, 1, 2].map((channel) => tableOf(how, channel, type));
  const result =
    type === 'float32'
      ? new Float32Array(pixels.length)
      : type === 'float16'
        ? new Uint16Array(pixels.length)
        : new Uint8Array(pixels.length);
  for (let channel = 0; channel < CHANNELS; channel++) {
    const table = tables[channel]!;
    const target = how.order === 'RGB' ? channel : CHANNELS - 1 - channel;
    const step = layout === 'NCHW' ? 1 : CHANNELS;
    const first = layout === 'NCHW' ? target * area : target;
    for (let row = 0; row < pixels.length; row += area * CHANNELS) {
      let from = row + channel;
      let to = row + first;
      for (let i = 0; i < area; i++, from += CHANNELS, to += step) result[to] = table[pixels[from]!]!;
    }
  }
  return result as PixelArrays[T];
}

/**
 * The value of each of the 256 levels: a picture is then a copy through a table. Each step is rounded to float32, as numpy
 * does for transformers.
 */
function tableOf(how: Normalisation, channel: number, type: PixelType): Float32Array | Uint16Array | Uint8Array {
  if (type === 'uint8') return Uint8Array.from({ length: 256 }, (_, level) => level);
  const mean = Math.fround(how.mean[channel]!);
  const std = Math.fround(how.std[channel]!);
  const values = Float32Array.from(
    { length: 256 },
    (_, level) => Math.fround(Math.fround(level * how.scale) - mean) / std,
  );
  return type === 'float32' ? values : new Uint16Array(Halves.from(values).buffer);
}
