import type { Capacity } from '../../engine/capacity.ts';
import type { PicturePreparation } from '../../engine/prepared/preparation.ts';
import { DEFAULT_LIMITS, type DecodeLimits } from '../../pictures/decode.ts';
import type { Geometry } from '../../pictures/geometry.ts';

/**
 * The order of a process that prepares pictures. A run takes one file, uint8 [1, bytes], and gives `pixels`, uint8
 * [1, height, width, 3], and `error`, string [1]: empty, or why there are no pixels.
 */
export interface PictureOrder extends Pick<PicturePreparation, 'background'> {
  readonly geometry: Geometry;
  readonly limits: DecodeLimits;
  /** The most bytes that resizing may make. */
  readonly resizeBytes: number;
}

/** More processes than this decode no more than the serving process can pass to engines. */
const MOST_PROCESSES = 4;
/** The memory for which another process is started: a picture of 12 million pixels takes 150 MB of it. */
const MEMORY_OF_PROCESS = 2 ** 30;
/** The part of the memory that pictures may take while they are decoded; engines and bodies need the rest. */
const SHARE = 3 / 8;
/**
 * Bytes that a pixel may take: 3 decoded, 3 turned, and 6 of coefficients in a progressive JPEG. Other formats take less.
 */
const BYTES_OF_PIXEL = 12;
const MOST_RESIZE_BYTES = 2 ** 28;

/** How many processes prepare the pictures of a model, and the largest picture that each may decode, by CPUs and memory. */
export function planPictures({ cpus, memoryBytes }: Capacity): {
  processes: number;
  limits: DecodeLimits;
  resizeBytes: number;
} {
  if (memoryBytes === undefined) {
    return {
      processes: Math.max(1, Math.min(MOST_PROCESSES, Math.floor(cpus))),
      limits: DEFAULT_LIMITS,
      resizeBytes: MOST_RESIZE_BYTES,
    };
  }
  const byMemory = Math.floor(memoryBytes / MEMORY_OF_PROCESS);
  const processes = Math.max(1, Math.min(MOST_PROCESSES, Math.floor(cpus), byMemory));
  const each = Math.floor((memoryBytes * SHARE) / processes);
  return {
    processes,
    limits: { ...DEFAULT_LIMITS, pixels: Math.min(DEFAULT_LIMITS.pixels, Math.floor(each / BYTES_OF_PIXEL)) },
    resizeBytes: Math.min(MOST_RESIZE_BYTES, each),
  };
}
