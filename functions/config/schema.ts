import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

/** One setting: everything that is known of it stands here, and the table in docs/operate/settings.md is checked against it. */
export interface Setting<T> {
  /** The value where the variable is not set, as it would be in the environment; empty where there is none. */
  readonly default: string;
  /** From the text of the variable to its value. */
  readonly schema: z.ZodType<T, string>;
  /** What it accepts, in words: part of the error for a bad value. */
  readonly takes: string;
  /** What it is for: its row in README. */
  readonly doc: string;
  /** It may hold a password: no error shows its value. */
  readonly secret?: boolean;
}

/** A setting; the parameters are the fields of {@link Setting} in their order. */
export function setting<T>(fallback: string, schema: z.ZodType<T, string>, takes: string, doc: string): Setting<T> {
  return { default: fallback, schema, takes, doc };
}

/** A setting that may hold a password. */
export const secret: typeof setting = (...parts) => ({ ...setting(...parts), secret: true });

/** Decimal digits alone, between `min` and `max`, both included. */
export function integer(min: number, max: number): z.ZodType<number, string> {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max)) as z.ZodType<number, string>;
}

/** One of these texts. */
export function oneOf<const T extends string>(...values: T[]): z.ZodType<T, string> {
  return z.enum(values) as unknown as z.ZodType<T, string>;
}

/** Whether a model can be read from there: a path, `file://…` with a path, or `gs://…`. */
export function isModelUri(uri: string): boolean {
  if (!/^[a-z0-9+.-]+:\/\//i.test(uri)) return true;
  if (!uri.startsWith('file://')) return uri.startsWith('gs://');
  try {
    fileURLToPath(uri);
    return true;
  } catch {
    return false;
  }
}

/** Whether the file at `path` can be read and holds more than white space. */
export function holdsText(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}

/** Any text that is not empty. */
export const text = z.string().min(1) as z.ZodType<string, string>;
/** Undefined where the variable is not set, else what `schema` makes of it. */
export const optional = <T>(schema: z.ZodType<T, string>): z.ZodType<T | undefined, string> =>
  z.union([z.literal('').transform(() => undefined), schema]) as z.ZodType<T | undefined, string>;

/** A path as a request line has it (RFC 3986, 3.3). Braces are none of its characters: in a route they stand for a part. */
export const path = z.string().regex(/^\/[\w\-.~%!$&'()*+,;=:@/]*$/) as z.ZodType<string, string>;

/** A file of a model's folder: a path below it. */
export const fileBelow = z
  .string()
  .regex(/\.onnx$/)
  .refine((file) =>
    file.split('/').every((part) => !['', '.', '..'].includes(part) && !/[\0\\]/.test(part)),
  ) as z.ZodType<string, string>;

/** The name of the model in a path of this server, of whichever protocol; undefined where the path has none. */
export function modelOfRoute(route: string): string | undefined {
  const [, name] = /^(?:\/v[12])?\/models\/([^/:]+)(?=$|[/:])/.exec(route) ?? [];
  try {
    return name === undefined ? undefined : decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Letters, digits, `-` and `_`: what needs no escape in a path. */
export const id = z.string().regex(/^[\w-]+$/) as z.ZodType<string, string>;
