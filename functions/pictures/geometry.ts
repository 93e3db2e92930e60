import { ServingError } from '../errors.ts';
import type { Pixels } from './pixels.ts';
import { bytesMade, type Filter, place, resize, type Window } from './resize.ts';

/** The size that a picture is resized to. */
export type Size =
  /** Both sides, whatever the proportions were. */
  | { kind: 'exact'; width: number; height: number }
  /** The shorter side; the longer one follows the proportions, up to `longest` if that is given. */
  | { kind: 'shortest'; edge: number; longest?: number | undefined }
  /** The longer side; the shorter one follows the proportions. */
  | { kind: 'longest'; edge: number };

/** The steps from a decoded picture to the model's width and height, in this order; each may be left out. */
export interface Geometry {
  resize?: { size: Size; filter: Filter } | undefined;
  /** A centre crop; black is added where the picture is smaller. */
  crop?: { width: number; height: number } | undefined;
  /** Black is added on the right and below, up to this size. */
  pad?: { width: number; height: number } | undefined;
}

/** What {@link planGeometry} computes from the size of one picture. */
interface Plan {
  size: { width: number; height: number };
  window: Window;
}

/**
 * The width and height after resizing, rounded as transformers' `get_resize_output_image_size` does.
 * @returns each at least 1
 */
export function resizedSize(size: Size, image: { width: number; height: number }): { width: number; height: number } {
  if (size.kind === 'exact') return { width: size.width, height: size.height };
  const wide = image.width > image.height;
  const [short, long] = wide ? [image.height, image.width] : [image.width, image.height];
  let newShort = size.edge;
  let newLong = Math.trunc((size.edge * long) / short);
  if (size.kind === 'longest') {
    newLong = size.edge;
    newShort = Math.trunc((size.edge * short) / long);
  } else if (size.longest !== undefined && newLong > size.longest) {
    newShort = Math.trunc((size.longest * newShort) / newLong);
    newLong = size.longest;
  }
  newShort = Math.max(1, newShort);
  return wide ? { width: newLong, height: newShort } : { width: newShort, height: newLong };
}

/**
 * The width and height of every result of {@link applyGeometry}.
 * @returns undefined if they depend on the picture
 */
export function fixedSize({ resize, crop, pad }: Geometry): { width: number; height: number } | undefined {
  if (pad !== undefined || crop !== undefined) return pad ?? crop;
  return resize?.size.kind === 'exact' ? { width: resize.size.width, height: resize.size.height } : undefined;
}

function planGeometry(geometry: Geometry, image: { width: number; height: number }): Plan {
  const size = geometry.resize === undefined ? image : resizedSize(geometry.resize.size, image);
  const crop = geometry.crop ?? size;
  const left = Math.floor((size.width - crop.width) / 2);
  const top = Math.floor((size.height - crop.height) / 2);
  return { size, window: { left, top, width: crop.width, height: crop.height } };
}

/**
 * Checks, from the size alone, that {@link applyGeometry} stays within a limit. Call it before the picture is decoded.
 * @param mostBytes of all that resizing makes, with its result
 * @throws ServingError `INVALID_INPUT` with both sizes
 */
export function checkGeometry(geometry: Geometry, image: { width: number; height: number }, mostBytes: number): void {
  const { size, window } = planGeometry(geometry, image);
  const bytes = bytesMade(image, size, window);
  if (bytes <= mostBytes && size.width < 2 ** 31 && size.height < 2 ** 31) return;
  throw new ServingError(
    'INVALID_INPUT',
    `the picture: ${image.width} x ${image.height} pixels would be resized to ${size.width} x ${size.height}, ` +
      `which takes ${bytes} bytes; ${mostBytes} are allowed. Send a picture whose sides differ less`,
  );
}

/**
 * Resizes, crops and pads.
 * @returns uint8 pixels, height x width x 3
 * @throws ServingError `INVALID_INPUT` if the picture does not fit into the size that it is padded to
 */
export function applyGeometry(geometry: Geometry, image: Pixels): Pixels {
  const { size, window } = planGeometry(geometry, image);
  const filter = geometry.resize?.filter ?? 'nearest';
  const result = resize(image, size, filter, window);
  const { pad } = geometry;
  if (pad === undefined || (pad.width === result.width && pad.height === result.height)) return result;
  if (pad.width < result.width || pad.height < result.height) {
    throw new ServingError(
      'INVALID_INPUT',
      `the picture: ${result.width} x ${result.height} pixels after resizing do not fit into the model's ` +
        `${pad.width} x ${pad.height}`,
    );
  }
  return place(result, 0, 0, pad);
}
