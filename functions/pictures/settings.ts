import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { ServingError } from '../errors.ts';
import type { Geometry, Size } from './geometry.ts';
import type { Normalisation } from './normalise.ts';
import type { Filter } from './resize.ts';

/** Values that replace those of the files: `input.image` of `model.json`, by its field, and its `classes` as `labels`. */
export interface PictureChoices {
  /** One of `size` and `width` with `height` replaces all of the geometry. */
  readonly size?: number | undefined;
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** What `size` is: the shortest edge, both edges, or the longest with black to a square. Default: the shortest if `crop` is given, else both. */
  readonly resize?: 'shortest' | 'exact' | 'longest' | undefined;
  readonly crop?: number | { readonly width: number; readonly height: number } | undefined;
  readonly filter?: Filter | undefined;
  readonly scale?: number | undefined;
  readonly mean?: number | readonly number[] | undefined;
  readonly std?: number | readonly number[] | undefined;
  readonly order?: 'RGB' | 'BGR' | undefined;
  readonly labels?: readonly string[] | undefined;
}

/** How a model's pictures are prepared, and the names of its classes. */
export interface PictureSettings {
  geometry: Geometry;
  normalisation: Normalisation;
  /** By class index. Of a classifier alone. */
  labels?: readonly string[] | undefined;
  /** The file and field that each value comes from, or `default`: for the page and for `GET /models/{name}`. */
  sources: Record<string, string>;
}

const PREPROCESSOR = 'preprocessor_config.json';
const CONFIG = 'config.json';
const MANIFEST = 'model.json';
/** Pixels on a side of what a model takes. */
const MOST_SIDE = 16_384;
const MOST_CLASSES = 65_536;

/** By the numbers that Pillow's `Resampling` has. */
const FILTERS: readonly Filter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** Processors that squeeze a picture to a square where `size` is one number; the others read it as the shortest edge. */
const SQUARE_BY_DEFAULT =
  /^(ViT|DeiT|Beit|Siglip|EfficientNet|Swin2SR|SegFormer|Segformer|Dpt|DPT)(FeatureExtractor|Image)/;

/** What exporters write where a value is not set. */
const absent = <T extends z.ZodMiniType>(schema: T) =>
  z.pipe(
    z.nullish(schema),
    z.transform((value) => value ?? undefined),
  );

z.config(en());

const side = z.int().check(z.minimum(1), z.maximum(MOST_SIDE));
const sides = z.union(
  [
    side,
    z.strictObject({ height: side, width: side }),
    z.strictObject({ shortest_edge: side, longest_edge: z.optional(side) }),
    z.strictObject({ longest_edge: side }),
  ],
  { error: 'expected a number of pixels, or an object with height and width, shortest_edge, or longest_edge' },
);
const THREE = 'expected a number, or 3 numbers: red, green, blue';
const perChannel = z.union([z.number(), z.array(z.number()).check(z.length(3, THREE))], { error: THREE });

const preprocessorSchema = z.looseObject({
  image_processor_type: absent(z.string()),
  feature_extractor_type: absent(z.string()),
  do_resize: absent(z.boolean()),
  size: absent(sides),
  resample: absent(z.int().check(z.minimum(0), z.maximum(FILTERS.length - 1))),
  crop_pct: absent(z.number().check(z.positive(), z.maximum(1))),
  do_center_crop: absent(z.boolean()),
  crop_size: absent(sides),
  do_pad: absent(z.boolean()),
  pad_size: absent(sides),
  do_rescale: absent(z.boolean()),
  rescale_factor: absent(z.number().check(z.positive())),
  do_normalize: absent(z.boolean()),
  image_mean: absent(perChannel),
  image_std: absent(perChannel),
  do_flip_channel_order: absent(z.boolean()),
  sampling_rate: z.optional(z.unknown()),
});
type Preprocessor = z.infer<typeof preprocessorSchema>;

const configSchema = z.looseObject({
  architectures: absent(z.array(z.string())),
  id2label: absent(
    z.record(z.string().check(z.regex(/^\d+$/, 'expected a class index')), z.string().check(z.maxLength(1024))),
  ),
  num_channels: absent(z.int()),
});

/** The field of `model.json` for each field of `preprocessor_config.json` that it replaces. */
const CHOICES = {
  resample: 'filter',
  rescale_factor: 'scale',
  image_mean: 'mean',
  image_std: 'std',
  crop_size: 'crop',
  do_flip_channel_order: 'order',
} as const satisfies Partial<Record<keyof Preprocessor, keyof PictureChoices>>;

/**
 * Reads what an export says about its pictures, as the image processors of transformers read it.
 * @param files the texts of the files beside the model; each may be missing if the choices have what is needed
 * @param choices values that replace those of the files
 * @throws ServingError that names the file and the field: `MODEL_FAILED` for a value that is missing or not valid, `UNSUPPORTED` for
 *   files that are not those of a model of RGB pictures
 */
export function readPictureSettings(
  files: { preprocessor?: string | undefined; config?: string | undefined },
  choices: PictureChoices = {},
): PictureSettings {
  const given = parse(preprocessorSchema, files.preprocessor ?? '{}', PREPROCESSOR);
  const config = files.config === undefined ? undefined : parse(configSchema, files.config, CONFIG);
  if (given.sampling_rate !== undefined) unsupported(PREPROCESSOR, 'sampling_rate', 'the model is for sound');
  if (config?.num_channels !== undefined && config.num_channels !== 3) {
    unsupported(CONFIG, 'num_channels', `${config.num_channels} channels; pictures are given to models of 3`);
  }
  const labels = choices.labels ?? labelsOf(config);
  return {
    geometry: readGeometry(given, choices, files.preprocessor !== undefined),
    normalisation: readNormalisation(given, choices),
    labels,
    sources: sourcesOf(given, choices, labels !== undefined),
  };
}

function sourcesOf(given: Preprocessor, choices: PictureChoices, hasLabels: boolean): Record<string, string> {
  const sources: Record<string, string> = {};
  for (const field of Object.keys(preprocessorSchema.shape) as (keyof Preprocessor & string)[]) {
    sources[field] = given[field] === undefined ? 'default' : `${PREPROCESSOR}: ${field}`;
  }
  for (const [field, name] of Object.entries(CHOICES)) {
    if (choices[name] !== undefined) sources[field] = `${MANIFEST}: input.image.${name}`;
  }
  const size = (['size', 'width'] as const).find((name) => choices[name] !== undefined);
  if (size !== undefined) sources.size = `${MANIFEST}: input.image.${size}`;
  const labels = choices.labels === undefined ? `${CONFIG}: id2label` : `${MANIFEST}: classes`;
  sources.labels = hasLabels ? labels : 'default';
  return sources;
}

function readGeometry(given: Preprocessor, choices: PictureChoices, hasFile: boolean): Geometry {
  const type = given.image_processor_type ?? given.feature_extractor_type ?? '';
  const filter = choices.filter ?? FILTERS[given.resample ?? (/^(CLIP|Bit|Convnext|ConvNext)/i.test(type) ? 3 : 2)]!;
  const chosen = chosenGeometry(choices, filter);
  if (chosen !== undefined) return chosen;
  if (!hasFile) {
    fail(MANIFEST, 'input.image.size', `is missing, and there is no ${PREPROCESSOR}: give it, or width and height`);
  }
  const crop =
    choices.crop !== undefined
      ? square(choices.crop)
      : given.do_center_crop === true
        ? box(given.crop_size ?? fail(PREPROCESSOR, 'crop_size', 'is missing'), 'crop_size')
        : undefined;
  if (given.do_resize === false) return { crop };
  const size = readSize(given.size ?? fail(PREPROCESSOR, 'size', 'is missing'), type);
  if (/^conv_?next/i.test(type))
    return { ...convNext(size, given.crop_pct ?? 224 / 256, filter), ...(choices.crop !== undefined && { crop }) };
  if (given.crop_pct !== undefined) fail(PREPROCESSOR, 'crop_pct', `is not known for ${type || 'this processor'}`);
  const pad = given.do_pad === true ? padding(given, size) : undefined;
  return { resize: { size, filter }, crop, pad };
}

/** The geometry of `model.json`; undefined if it has no size. */
function chosenGeometry({ size, width, height, resize, crop }: PictureChoices, filter: Filter): Geometry | undefined {
  const cut = crop === undefined ? undefined : square(crop);
  if (width !== undefined && height !== undefined) {
    return { resize: { size: { kind: 'exact', width, height }, filter }, crop: cut };
  }
  if (size === undefined) return undefined;
  const kind = resize ?? (cut === undefined ? 'exact' : 'shortest');
  if (kind === 'exact') return { resize: { size: { kind, ...square(size) }, filter }, crop: cut };
  const pad = kind === 'longest' && cut === undefined ? square(size) : undefined;
  return { resize: { size: { kind, edge: size }, filter }, crop: cut, pad };
}

function square(size: number | { readonly width: number; readonly height: number }): { width: number; height: number } {
  return typeof size === 'number' ? { width: size, height: size } : { width: size.width, height: size.height };
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

function readNormalisation(given: Preprocessor, choices: PictureChoices): Normalisation {
  const scale = choices.scale ?? (given.do_rescale === false ? 1 : (given.rescale_factor ?? 1 / 255));
  const normalised =
    given.do_normalize === true || (given.do_normalize === undefined && given.image_mean !== undefined);
  const own = (field: 'image_mean' | 'image_std', none: number) =>
    normalised ? (given[field] ?? fail(PREPROCESSOR, field, 'is missing')) : none;
  const mean = triple(choices.mean ?? own('image_mean', 0));
  const std = triple(choices.std ?? own('image_std', 1));
  if (std.some((value) => value === 0)) {
    const [file, field] = choices.std === undefined ? [PREPROCESSOR, 'image_std'] : [MANIFEST, 'input.image.std'];
    fail(file, field, 'expected numbers other than 0');
  }
  return { scale, mean, std, order: choices.order ?? (given.do_flip_channel_order === true ? 'BGR' : 'RGB') };
}

function triple(value: number | readonly number[]): [number, number, number] {
  return typeof value === 'number' ? [value, value, value] : [value[0]!, value[1]!, value[2]!];
}

/** The labels of a classifier. Other models have those that transformers writes into every configuration. */
function labelsOf(config: z.infer<typeof configSchema> | undefined): string[] | undefined {
  const { architectures = [], id2label } = config ?? {};
  const classifies =
    architectures.length === 0 || architectures.some((name) => name.includes('ForImageClassification'));
  return id2label === undefined || !classifies ? undefined : listLabels(id2label);
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

function parse<T extends z.ZodMiniType>(schema: T, text: string, file: string): z.infer<T> {
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

function unsupported(file: string, field: string, message: string): never {
  throw new ServingError('UNSUPPORTED', `${file}: ${field}: ${message}`);
}

function fail(file: string, field: string, message: string): never {
  throw new ServingError('MODEL_FAILED', `${file}: ${field}: ${message}`);
}
