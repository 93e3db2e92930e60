import * as z from 'zod';
import { ServingError } from '../errors.ts';
import type { Geometry, Size } from './geometry.ts';
import type { Normalisation } from './normalise.ts';
import type { Filter } from './resize.ts';

/** How a model's pictures are prepared, and the names of its classes. */
export interface PictureSettings {
  geometry: Geometry;
  normalisation: Normalisation;
  /** By class index. */
  labels?: string[] | undefined;
  /** The file and field that each value comes from, or `default`: for the page and for `GET /models/{name}`. */
  sources: Record<string, string>;
}

const PREPROCESSOR = 'preprocessor_config.json';
const CONFIG = 'config.json';
/** Pixels on a side of what a model takes. */
const MOST_SIDE = 16_384;
const MOST_CLASSES = 65_536;

/** By the numbers that Pillow's `Resampling` has. */
const FILTERS: readonly Filter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** Processors that squeeze a picture to a square where `size` is one number; the others read it as the shortest edge. */
const SQUARE_BY_DEFAULT =
  /^(ViT|DeiT|Beit|Siglip|EfficientNet|Swin2SR|SegFormer|Segformer|Dpt|DPT)(FeatureExtractor|Image)/;

/** What exporters write where a value is not set. */
const absent = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

const side = z.number().int().min(1).max(MOST_SIDE);
const sides = z.union(
  [
    side,
    z.strictObject({ height: side, width: side }),
    z.strictObject({ shortest_edge: side, longest_edge: side.optional() }),
    z.strictObject({ longest_edge: side }),
  ],
  { error: 'expected a number of pixels, or an object with height and width, shortest_edge, or longest_edge' },
);
const THREE = 'expected a number, or 3 numbers: red, green, blue';
const perChannel = z.union([z.number(), z.array(z.number()).length(3, THREE)], { error: THREE });

const preprocessorSchema = z.looseObject({
  image_processor_type: absent(z.string()),
  feature_extractor_type: absent(z.string()),
  do_resize: absent(z.boolean()),
  size: absent(sides),
  resample: absent(
    z
      .number()
      .int()
      .min(0)
      .max(FILTERS.length - 1),
  ),
  crop_pct: absent(z.number().positive().max(1)),
  do_center_crop: absent(z.boolean()),
  crop_size: absent(sides),
  do_pad: absent(z.boolean()),
  pad_size: absent(sides),
  do_rescale: absent(z.boolean()),
  rescale_factor: absent(z.number().positive()),
  do_normalize: absent(z.boolean()),
  image_mean: absent(perChannel),
  image_std: absent(perChannel),
  do_flip_channel_order: absent(z.boolean()),
});
type Preprocessor = z.infer<typeof preprocessorSchema>;

const configSchema = z.looseObject({
  id2label: absent(z.record(z.string().regex(/^\d+$/, 'expected a class index'), z.string().max(1024))),
  num_channels: absent(z.number().int()),
});

/**
 * Reads what an export says about its pictures, as the image processors of transformers read it.
 * @param files the texts of the files beside the model
 * @throws ServingError `MODEL_FAILED` that names the file and the field
 */
export function readPictureSettings(files: { preprocessor: string; config?: string | undefined }): PictureSettings {
  const given = parse(preprocessorSchema, files.preprocessor, PREPROCESSOR);
  const config = files.config === undefined ? undefined : parse(configSchema, files.config, CONFIG);
  if (config?.num_channels !== undefined && config.num_channels !== 3) {
    fail(CONFIG, 'num_channels', `${config.num_channels} channels; pictures are given to models of 3`);
  }
  const sources: Record<string, string> = {};
  const from = (name: keyof Preprocessor & string, field: string): void => {
    sources[name] = given[name] === undefined ? 'default' : `${PREPROCESSOR}: ${field}`;
  };
  for (const field of Object.keys(preprocessorSchema.shape) as (keyof Preprocessor & string)[]) from(field, field);
  const labels = config?.id2label === undefined ? undefined : listLabels(config.id2label);
  sources.labels = labels === undefined ? 'default' : `${CONFIG}: id2label`;
  return { geometry: readGeometry(given), normalisation: readNormalisation(given), labels, sources };
}

function readGeometry(given: Preprocessor): Geometry {
  const type = given.image_processor_type ?? given.feature_extractor_type ?? '';
  const filter = FILTERS[given.resample ?? (/^(CLIP|Bit|Convnext|ConvNext)/i.test(type) ? 3 : 2)]!;
  const crop =
    given.do_center_crop === true
      ? box(given.crop_size ?? fail(PREPROCESSOR, 'crop_size', 'is missing'), 'crop_size')
      : undefined;
  if (given.do_resize === false) return { crop };
  const size = readSize(given.size ?? fail(PREPROCESSOR, 'size', 'is missing'), type);
  if (/^conv_?next/i.test(type)) return convNext(size, given.crop_pct ?? 224 / 256, filter);
  if (given.crop_pct !== undefined) fail(PREPROCESSOR, 'crop_pct', `is not known for ${type || 'this processor'}`);
  const pad = given.do_pad === true ? padding(given, size) : undefined;
  return { resize: { size, filter }, crop, pad };
}

function readSize(size: z.infer<typeof sides>, type: string): Size {
  if (typeof size === 'number') {
    return SQUARE_BY_DEFAULT.test(type)
      ? { kind: 'exact', width: size, height: size }
      : { kind: 'shortest', edge: size };
  }
  if ('height' in size) return { kind: 'exact', width: size.width, height: size.height };
  if ('shortest_edge' in size) return { kind: 'shortest', edge: size.shortest_edge, longest: size.longest_edge };
  return { kind: 'longest', edge: size.longest_edge };
}

/** ConvNextImageProcessor: below 384 the shortest edge is `size / crop_pct`, then a crop; from 384 on a square without one. */
function convNext(size: Size, cropPct: number, filter: Filter): Geometry {
  const edge = size.kind === 'exact' ? size.width : size.edge;
  const square = { width: edge, height: edge };
  if (edge >= 384) return { resize: { size: { kind: 'exact', ...square }, filter } };
  return { resize: { size: { kind: 'shortest', edge: Math.trunc(edge / cropPct) }, filter }, crop: square };
}

function box(size: z.infer<typeof sides>, field: string): { width: number; height: number } {
  if (typeof size === 'number') return { width: size, height: size };
  if ('height' in size) return { width: size.width, height: size.height };
  return fail(PREPROCESSOR, field, 'expected a number of pixels, or an object with height and width');
}

function padding(given: Preprocessor, size: Size): { width: number; height: number } {
  if (given.pad_size !== undefined) return box(given.pad_size, 'pad_size');
  if (size.kind === 'longest') return { width: size.edge, height: size.edge };
  if (size.kind === 'exact') return { width: size.width, height: size.height };
  return fail(PREPROCESSOR, 'pad_size', 'is missing: do_pad needs it where size has a shortest_edge');
}

function readNormalisation(given: Preprocessor): Normalisation {
  const scale = given.do_rescale === false ? 1 : (given.rescale_factor ?? 1 / 255);
  const normalised =
    given.do_normalize === true || (given.do_normalize === undefined && given.image_mean !== undefined);
  const mean = normalised ? triple(given.image_mean ?? fail(PREPROCESSOR, 'image_mean', 'is missing')) : triple(0);
  const std = normalised ? triple(given.image_std ?? fail(PREPROCESSOR, 'image_std', 'is missing')) : triple(1);
  if (std.some((value) => value === 0)) fail(PREPROCESSOR, 'image_std', 'expected numbers other than 0');
  return { scale, mean, std, order: given.do_flip_channel_order === true ? 'BGR' : 'RGB' };
}

function triple(value: number | number[]): [number, number, number] {
  return typeof value === 'number' ? [value, value, value] : [value[0]!, value[1]!, value[2]!];
}

/** `id2label` as a list: its keys are 0 to the number of classes, each once. */
function listLabels(names: Record<string, string>): string[] {
  const count = Object.keys(names).length;
  if (count > MOST_CLASSES) fail(CONFIG, 'id2label', `${count} classes, and it may have ${MOST_CLASSES}`);
  return Array.from(
    { length: count },
    (_, i) => names[i] ?? fail(CONFIG, 'id2label', `class ${i} of ${count} is missing`),
  );
}

function parse<T extends z.ZodType>(schema: T, text: string, file: string): z.infer<T> {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  return fail(file, issue.path.length === 0 ? 'the document' : issue.path.join('.'), issue.message);
}

function fail(file: string, field: string, message: string): never {
  throw new ServingError('MODEL_FAILED', `${file}: ${field}: ${message}`);
}
