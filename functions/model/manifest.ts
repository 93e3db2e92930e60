import * as z from 'zod';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';

const jsonValue = z.custom<JsonValue>((value) => value !== undefined, 'is missing');

const manifestSchema = z.strictObject({
  name: z.string().min(1).optional(),
  version: z
    .union([z.string().min(1), z.number().int()])
    .transform(String)
    .optional(),
  description: z.string().optional(),
  /** What the values of a one-input model's row are called, in order. */
  input: z.strictObject({ features: z.array(z.string().min(1)).min(1).optional() }).optional(),
  /** The output that `prediction` is taken from; the model's first where it is left out. */
  output: z.string().min(1).optional(),
  /** Names of the classes, by class index. */
  classes: z.array(z.string()).min(1).optional(),
  /** A body of `/predict` that works: shown to people, and used to warm up. */
  example: z.strictObject({ features: jsonValue }).optional(),
  /** Whether rows of different requests may share a run; decided at warm-up where it is left out. */
  batching: z.boolean().optional(),
});

/** `model.json`, which tells of a model what its ONNX file can't. Every field is optional. */
export type Manifest = z.infer<typeof manifestSchema>;

const goldenSchema = z.strictObject({
  /** Largest allowed difference |got - expected|, relative to |expected| where that is above 1. */
  tolerance: z.number().nonnegative().default(1e-4),
  rows: z.array(z.strictObject({ features: jsonValue, outputs: z.record(z.string(), jsonValue) })).min(1),
});

/** `golden.json`: rows with the outputs that the model must give before it serves. */
export type Golden = z.infer<typeof goldenSchema>;

/** @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes. */
export function parseManifest(text: string, file: string): Manifest {
  return parse(manifestSchema, text, file);
}

/** @throws ServingError `MODEL_FAILED` that names the file, the field, and what it takes. */
export function parseGolden(text: string, file: string): Golden {
  return parse(goldenSchema, text, file);
}

function parse<T extends z.ZodType>(schema: T, text: string, file: string): z.infer<T> {
  let json: unknown;
  try {
    JSON.parse(text);
    // The project's own reader keeps the digits of an int64; JSON.parse says better where a hand-written file is wrong.
    const bytes = Buffer.from(text);
    json = readJson(bytes, 0, bytes.length, Number.POSITIVE_INFINITY);
  } catch (cause) {
    throw new ServingError('MODEL_FAILED', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const at = issue.path.length === 0 ? 'the whole' : issue.path.join('.');
  throw new ServingError('MODEL_FAILED', `${file}: ${at}: ${issue.message}`);
}
