/** A process that decodes pictures, one at a time, and resizes them for a model. */

import { setPriority } from 'node:os';
import type { SlottedTensor } from '../../engine/process/frame.ts';
import { type LoadedProgram, serveFrames } from '../../engine/process/frame-loop.ts';
import { ServingError } from '../../errors.ts';
import { decodePicture, loadLibrary } from '../../pictures/decode.ts';
import { applyGeometry, checkGeometry } from '../../pictures/geometry.ts';
import { CHANNELS, type Pixels } from '../../pictures/pixels.ts';
import type { PictureOrder } from './picture-order.ts';

/** Of the kernel's scale to 19. The serving process and the engines, whose work is short, do not wait for a picture. */
const NICE = 10;

async function load(order: PictureOrder): Promise<LoadedProgram> {
  await loadLibrary();
  setPriority(NICE);
  return {
    loaded: {},
    run: async ([file]) => {
      const bytes = file!.data as Uint8Array;
      try {
        const { data, width, height } = await prepare(bytes, order);
        return results([1, height, width, CHANNELS], data, '');
      } catch (error) {
        if (!(error instanceof ServingError) || error.code !== 'INVALID_INPUT') throw error;
        return results([1, 0], new Uint8Array(0), error.message);
      }
    },
  };
}

async function prepare(bytes: Uint8Array, order: PictureOrder): Promise<Pixels> {
  const { geometry, background, limits, resizeBytes } = order;
  const decoded = await decodePicture(bytes, {
    limits,
    background,
    check: (size) => checkGeometry(geometry, size, resizeBytes),
  });
  const pixels = applyGeometry(geometry, decoded);
  // Freed at once: the garbage collector knows little of this memory.
  if (pixels.data.buffer !== decoded.data.buffer) (decoded.data.buffer as ArrayBuffer).transfer(0);
  return pixels;
}

/** The outputs `pixels` and `error`: see `PictureOrder`. */
const results = (dims: readonly number[], pixels: Uint8Array, error: string): SlottedTensor[] => [
  { slot: 0, dtype: 'uint8', dims, data: pixels },
  { slot: 1, dtype: 'string', dims: [1], data: [error] },
];

await serveFrames((order) => load(order as PictureOrder));
