import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';

/** One setting: everything that is known of it stands here, and the table in docs/operate/settings.md is checked against it. */
export interface Setting<T> {
  readonly default: string;
  readonly schema: z.ZodType<T, string>;
  /** What it takes, in words: part of the error of a bad value. */
  readonly takes: string;
  readonly doc: string;
  /** It may hold a password: its value is not shown. */
  readonly secret?: boolean;
}

export function setting<T>(fallback: string, schema: z.ZodType<T, string>, takes: string, doc: string): Setting<T> {
  return { default: fallback, schema, takes, doc };
}

export const secret: typeof setting = (...parts) => ({ ...setting(...parts), secret: true });

export function whole(min: number, max: number): z.ZodType<number, string> {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max)) as z.ZodType<number, string>;
}

export function oneOf<const T extends string>(...values: T[]): z.ZodType<T, string> {
  return z.enum(values) as unknown as z.ZodType<T, string>;
}

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

export function holdsText(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}

export const text = z.string().min(1) as z.ZodType<string, string>;
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

/** The model that a route of this server's names, of whichever protocol; undefined where it names none. */
export function modelOfRoute(route: string): string | undefined {
  const [, name] = /^(?:\/v[12])?\/models\/([^/:]+)(?=$|[/:])/.exec(route) ?? [];
  try {
    return name === undefined ? undefined : decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** What stands in a path as it is. */
export const id = z.string().regex(/^[\w-]+$/) as z.ZodType<string, string>;
