import * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { ServingError } from '../../errors.ts';
import { isObject, type JsonObject, type JsonValue, readJson } from '../../tensor/json/reader.ts';
import { imageInput, textInput } from './export/input-schema.ts';

/** The most bytes of a model's texts, by file name: they are parsed while requests are served. */
export const TEXT_BYTES: Readonly<Record<string, number>> = { 'model.json': 2 ** 20, 'golden.json': 2 ** 24 };
/** The most values of a text: reading them on the serving thread takes about 50 ms for each 100,000. */
const MOST_VALUES = 500_000;
/** Golden rows run one after the other before a model serves. */
const MOST_ROWS = 1000;
const MOST_FEATURES = 16_384;
const MOST_CLASSES = 65_536;
/** Characters of a name. */
const LONGEST_NAME = 1024;
/** Values of a feature that has categories: more do not fit into a list to choose from. */
const MOST_CATEGORIES = 1000;

/** The library's messages, which its small form does not have by itself. */
z.config(en());

const named = z.string().check(z.minLength(1), z.maxLength(LONGEST_NAME));
const jsonValue = z.custom<JsonValue>((value) => value !== undefined, 'is missing');
/** Not a record of the library, which drops a key `__proto__`: an output of that name would not be checked. */
const jsonObject = z.custom<JsonObject>((value) => isObject(value as JsonValue | undefined), 'expected an object');

/** The reader gives a long array of numbers as a Float64Array. */
const categories = z.pipe(
  z.transform((value) => (value instanceof Float64Array ? Array.from(value) : value)),
  z
    .array(z.union([z.string().check(z.maxLength(LONGEST_NAME)), z.number(), z.bigint()]))
    .check(z.minLength(1), z.maxLength(MOST_CATEGORIES)),
);

/** The output that answers are made of, and how. */
const outputSchema = z.strictObject({
  name: z.optional(named),
  /** What turns its values into scores. */
  activation: z.optional(z.enum(['softmax', 'sigmoid', 'none'])),
  /** The most labels among the scores of a response. */
  top: z.optional(z.int().check(z.minimum(1), z.maximum(MOST_CLASSES))),
  /** The least score of a label in a response. */
  threshold: z.optional(z.number().check(z.minimum(0), z.maximum(1))),
});

const manifestSchema = z.strictObject({
  name: z.optional(named),
  version: z.optional(z.pipe(z.union([named, z.int()]), z.transform(String))),
  description: z.optional(z.string()),
  input: z.optional(
    z
      .strictObject({
        /** Callers send tensors, though files of an export for texts or pictures lie beside the model. */
        tensors: z.optional(z.literal(true)),
        /** Callers send texts: what the files of an export do not have, or what replaces their values. */
        text: z.optional(textInput),
        /** Callers send pictures: the same. */
        image: z.optional(imageInput),
        /** The names of the values in a row of a one-input model, in order. */
        features: z.optional(z.array(named).check(z.minLength(1), z.maxLength(MOST_FEATURES))),
        /** The values that a feature or an input has, by its name: the page has a drop-down of them. Requests may have others. */
        categories: z.optional(z.record(named, categories)),
      })
      .check(
        z.refine(
          ({ tensors, text, image }) => [tensors, text, image].filter((one) => one !== undefined).length <= 1,
          'expected one of tensors, text and image',
        ),
      ),
  ),
  /** The output from which `prediction` is taken, and what it is made of. Default: the model's first, and its own values. */
  output: z.optional(z.union([named, outputSchema], 'expected the name of an output, or an object')),
  /**
   * What the page applies to the scores of that output before it shows them. Responses have the model's own values, unless
   * `output` is an object with `top` or `threshold`.
   */
  activation: z.optional(z.literal('softmax')),
  /** Names of the classes, by class index. */
  classes: z.optional(
    z.array(z.string().check(z.maxLength(LONGEST_NAME))).check(z.minLength(1), z.maxLength(MOST_CLASSES)),
  ),
  /** A valid body of `/predict`: shown on the page and in the OpenAPI document, and used for the warm-up. */
  example: z.optional(z.strictObject({ features: jsonValue })),
  /** Whether rows of different requests may share a run. Default: decided when the model is loaded. */
  batching: z.optional(z.boolean()),
});

/** `model.json`: what a model's ONNX file does not contain. Every field is optional. */
export type Manifest = z.infer<typeof manifestSchema>;

/** The members of `output` in `model.json`: a text is its name. */
export function outputOf({ output }: Pick<Manifest, 'output'>): z.infer<typeof outputSchema> {
  return typeof output === 'string' ? { name: output } : (output ?? {});
}

const goldenSchema = z.strictObject({
  /** The largest allowed difference |got - expected|, relative to |expected| if that is above 1. */
  tolerance: z._default(z.number().check(z.nonnegative()), 1e-4),
  rows: z.array(z.strictObject({ features: jsonValue, outputs: jsonObject })).check(z.minLength(1)),
});

/** `golden.json`: rows with the outputs that the model must give before it serves. */
export type Golden = z.infer<typeof goldenSchema>;
/** A row with the outputs that the model must give for it. */
export type GoldenRow = Golden['rows'][number];

/**
 * Parses `model.json`.
 * @param file its display name, for errors
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes
 */
export function parseManifest(text: string, file: string): Manifest {
  return parse(manifestSchema, text, file);
}

/**
 * Parses `golden.json`.
 * @param file its display name, for errors
 * @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes
 */
export function parseGolden(text: string, file: string): Golden {
  return parse(goldenSchema, text, file);
}

function parse<T extends z.ZodMiniType>(schema: T, text: string, file: string): z.infer<T> {
  let json: unknown;
  // Editors on Windows put a byte order mark before the text.
  const own = text.startsWith('\ufeff') ? text.slice(1) : text;
  try {
    const bytes = Buffer.from(own);
    json = readJson(bytes, 0, bytes.length, MOST_VALUES);
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `${file} is not JSON: ${explain(own, cause as Error)}`, { cause });
  }
  refuseMany(json, file);
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const { path, message } = issueOf(parsed.error.issues[0]!);
  const at = path.length === 0 ? 'the document' : path.join('.');
  throw new ServingError('MODEL_FAILED', `${file}: ${at}: ${message}`);
}

/** An issue; for a value of several possible types, that of the type which it has. */
function issueOf({ path, message, ...issue }: z.core.$ZodIssue): { path: PropertyKey[]; message: string } {
  if (issue.code !== 'invalid_union') return { path, message };
  const own = issue.errors
    .map(([first]) => first!)
    .find(({ code, path }) => code !== 'invalid_type' || path.length > 0);
  return own === undefined ? { path, message } : { path: [...path, ...own.path], message: own.message };
}

/** The message of `JSON.parse`, which suits a hand-written file better than that of the reader for requests. */
function explain(text: string, { message }: Error): string {
  try {
    JSON.parse(text);
    return message;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Refuses a file with too many rows, before the schema checks each of them. */
function refuseMany(json: unknown, file: string): void {
  const rows = (json as { rows?: unknown } | null)?.rows;
  if (!Array.isArray(rows) || rows.length <= MOST_ROWS) return;
  throw new ServingError('MODEL_FAILED', `${file}: rows: ${rows.length} rows, and it may have ${MOST_ROWS}`);
}
