import type { Metadata, OutputInfo, Sharp } from 'sharp';
import { ServingError } from '../errors.ts';
import { type Format, recognise } from './format.ts';
import type { Pixels } from './pixels.ts';

/** What is checked before a pixel is decoded. */
export interface DecodeLimits {
  /** Width times height. */
  pixels: number;
  /** Of each side. */
  side: number;
}

/** 50 million pixels are 150 MB decoded; the sides are those of JPEG. */
export const DEFAULT_LIMITS: Readonly<DecodeLimits> = { pixels: 50_000_000, side: 65_535 };

/** How a picture is decoded. */
export interface DecodeOptions {
  limits?: DecodeLimits | undefined;
  /** The colour under clear pixels: red, green, blue. Default: alpha is dropped, as `convert("RGB")` of Pillow does. */
  background?: readonly [red: number, green: number, blue: number] | undefined;
  /** Called with the size after turning, before pixels are decoded. What it throws refuses the picture. */
  check?: ((size: { width: number; height: number }) => void) | undefined;
}

/** The loaders of libvips that stay on: those of the formats of {@link recognise}, from memory. */
const LOADERS = ['JpegBuffer', 'PngBuffer', 'WebpBuffer', 'NsgifBuffer', 'HeifBuffer'];

type Library = typeof import('sharp')['default'];

let loaded: Promise<Library> | undefined;

/**
 * Loads sharp on the first call, turns the other loaders off, and keeps it to one thread and no cache.
 * @throws ServingError `UNSUPPORTED` if sharp is not installed
 */
export function loadLibrary(): Promise<Library> {
  loaded ??= import('sharp').then(
    ({ default: library }) => {
      library.block({ operation: ['VipsForeignLoad'] });
      library.unblock({ operation: LOADERS.map((name) => `VipsForeignLoad${name}`) });
      library.cache(false);
      library.concurrency(1);
      return library;
    },
    (cause) => {
      loaded = undefined;
      const message =
        'this server has no support for pictures: the package sharp does not load. Install it, or build the image with PICTURES=on';
      throw new ServingError('UNSUPPORTED', message, { cause });
    },
  );
  return loaded;
}

/**
 * Decodes a picture as `transformers.image_utils.load_image` does: the first frame, turned by its EXIF orientation, as RGB;
 * colour profiles are ignored. Uses much memory and time: call it in a process of its own.
 * @param bytes a JPEG, PNG, WebP, GIF or AVIF file
 * @returns uint8, height x width x 3
 * @throws ServingError `INVALID_INPUT` for another format, a damaged file, or one above the limits; the message says what
 *   was found. `UNSUPPORTED` if sharp is not installed
 */
export async function decodePicture(bytes: Uint8Array, options: DecodeOptions = {}): Promise<Pixels> {
  const found = recognise(bytes);
  if (found.kind === 'other') {
    throw new ServingError('INVALID_INPUT', `the picture: expected JPEG, PNG, WebP, GIF or AVIF, found ${found.name}`);
  }
  const { format } = found;
  const library = await loadLibrary();
  const limits = options.limits ?? DEFAULT_LIMITS;
  // The header is read without the library's limit: its error would not name the size.
  const read = (limitInputPixels: number | false): Sharp =>
    library(bytes, { failOn: 'truncated', limitInputPixels, ignoreIcc: true, pages: 1 });
  const header = await attempt(format, bytes, () => read(false).metadata());
  checkSize(format, header, limits);
  if (header.channels > 4 || (header.depth !== 'uchar' && header.depth !== 'ushort')) {
    throw new ServingError(
      'INVALID_INPUT',
      `the picture: a ${format} of ${header.channels} channels of ${header.depth} is not read`,
    );
  }
  options.check?.(header.autoOrient);
  return attempt(format, bytes, () => decode(read(limits.pixels), header, isGrey16(format, bytes), options));
}

function checkSize(format: Format, { width, height }: { width: number; height: number }, limits: DecodeLimits): void {
  if (width <= limits.side && height <= limits.side && width * height <= limits.pixels) return;
  throw new ServingError(
    'INVALID_INPUT',
    `the picture: a ${format} of ${width} x ${height} pixels; ${limits.pixels} pixels and ${limits.side} on a side are allowed`,
  );
}

async function decode(image: Sharp, header: Metadata, clipped: boolean, options: DecodeOptions): Promise<Pixels> {
  const turned = image.autoOrient();
  if (clipped) return clip(turned.removeAlpha());
  if (header.space === 'cmyk') return fromCmyk(turned.pipelineColourspace('cmyk').toColourspace('cmyk'));
  const opaque =
    header.hasAlpha && options.background !== undefined
      ? turned.flatten({ background: colourOf(options.background) })
      : turned.removeAlpha();
  const { data, info } = await raw(opaque.toColourspace('srgb'), 3);
  return { data, width: info.width, height: info.height };
}

function colourOf([r, g, b]: readonly [number, number, number]): { r: number; g: number; b: number } {
  return { r, g, b };
}

async function raw(image: Sharp, channels: number): Promise<{ data: Buffer; info: OutputInfo }> {
  const result = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  if (result.info.channels !== channels) throw new Error(`${result.info.channels} channels were decoded`);
  return result;
}

/** Whether a file is a PNG of 16 bit grey: the bytes of its header at which depth and colour type are. */
const isGrey16 = (format: Format, bytes: Uint8Array): boolean =>
  format === 'png' && bytes[24] === 16 && bytes[25] === 0;

/** 16 bit grey as Pillow converts it to RGB: values above 255 are white. */
async function clip(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .toColourspace('grey16')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 1) throw new Error(`${info.channels} channels were decoded`);
  const result = new Uint8Array(info.width * info.height * 3);
  for (let i = 0; i < info.width * info.height; i++) {
    const level = data[2 * i + 1] === 0 ? data[2 * i]! : 255;
    result.fill(level, i * 3, i * 3 + 3);
  }
  return { data: result, width: info.width, height: info.height };
}

/** CMYK without a profile, rounded as Pillow's `cmyk2rgb` does. */
async function fromCmyk(image: Sharp): Promise<Pixels> {
  const { data: inks, info } = await raw(image, 4);
  const result = new Uint8ClampedArray((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4) {
    const white = 255 - inks[from + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const product = inks[from + channel]! * white + 128;
      result[to++] = white - (((product >> 8) + product) >> 8);
    }
  }
  return { data: new Uint8Array(result.buffer), width: info.width, height: info.height };
}

/** The library's errors, as one that names the format. Its own words go to the log. */
async function attempt<T>(format: Format, bytes: Uint8Array, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof ServingError) throw error;
    const words = error instanceof Error ? error.message : String(error);
    const why = /premature|truncat|end of|too short|not enough|incomplete|read error/i.test(words)
      ? 'is truncated'
      : 'cannot be decoded: it is damaged';
    throw new ServingError('INVALID_INPUT', `the picture: the ${format} of ${bytes.length} bytes ${why}`, {
      detail: words,
      cause: error,
    });
  }
}
