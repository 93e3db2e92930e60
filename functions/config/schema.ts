import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as z from 'zod/mini';
import { readPublicKeys } from '../model/signature/public-keys.ts';

/** One setting, described completely: a test compares the table in docs/operate/settings.md with it. */
export interface Setting<T> {
  /** The text that is parsed if the variable is not set; empty: no default. */
  readonly default: string;
  /** Parses the text of the variable. */
  readonly schema: z.ZodMiniType<T, string>;
  /** The values that it accepts, in words: part of the error for an invalid value. */
  readonly takes: string;
  /** Its purpose: the text of its row in docs/operate/settings.md. */
  readonly doc: string;
  /** The value may be a password: no error shows it. */
  readonly secret?: boolean;
}

/** Makes a setting; the parameters are the fields of {@link Setting} in their order. */
export function setting<T>(fallback: string, schema: z.ZodMiniType<T, string>, takes: string, doc: string): Setting<T> {
  return { default: fallback, schema, takes, doc };
}

/** Makes a setting whose value may be a password. */
export const secret: typeof setting = (...parts) => ({ ...setting(...parts), secret: true });

/** A schema that is made when it is first used: most settings are not set, and to make all schemas takes 8 ms of a start. */
function lazily<T>(make: () => z.ZodMiniType): z.ZodMiniType<T, string> {
  return z.lazy(make) as unknown as z.ZodMiniType<T, string>;
}

/** A schema for an integer of decimal digits alone, between `min` and `max`, both inclusive. */
export function integer(min: number, max: number): z.ZodMiniType<number, string> {
  return lazily(() => {
    const digits = z.pipe(z.string().check(z.regex(/^\d+$/)), z.transform(Number));
    return z.pipe(digits, z.number().check(z.minimum(min), z.maximum(max)));
  });
}

/** A schema for one of these texts. */
export function oneOf<const T extends string>(...values: T[]): z.ZodMiniType<T, string> {
  return lazily(() => z.enum(values));
}

/** Whether models can be read from an address: a path, `file://…` with a path, or `gs://…`. */
export function isModelUri(uri: string): boolean {
  // `gs:/bucket` is a slip of the keyboard, and no path that anybody has.
  if (!/^(gs:|[a-z0-9+.-]+:\/\/)/i.test(uri)) return true;
  if (!uri.startsWith('file://')) return uri.startsWith('gs://');
  try {
    fileURLToPath(uri);
    return true;
  } catch {
    return false;
  }
}

/** Whether the file at `path` can be read and has more in it than white space. */
export function holdsText(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').trim() !== '';
  } catch {
    return false;
  }
}

/** Whether there is nothing at `folder`, or an empty folder. One that cannot be read counts as one with files: serving it reports why. */
export function isWithoutFiles(folder: string): boolean {
  try {
    return readdirSync(folder).length === 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** Whether the file at `path` has public keys that may sign models, and nothing else. */
export function holdsPublicKeys(path: string): boolean {
  try {
    return readPublicKeys(readFileSync(path, 'utf8')).length > 0;
  } catch {
    return false;
  }
}

/** A schema for texts, not empty, that `accepts` returns true for. */
export function matching(accepts: (given: string) => boolean): z.ZodMiniType<string, string> {
  return lazily(() => z.string().check(z.minLength(1), z.refine(accepts)));
}

/** A schema for texts that `parse` gives a value for, which is not undefined. */
export function parsed<T>(parse: (given: string) => T | undefined): z.ZodMiniType<T, string> {
  return lazily(() =>
    z.pipe(z.string(), z.pipe(z.transform(parse), z.any().check(z.refine((one) => one !== undefined)))),
  );
}

/** A schema for texts that are separated by commas; blanks around a text are not part of it. */
export function listOf<T extends string>(accepts: (items: string[]) => boolean): z.ZodMiniType<T[], string> {
  return parsed((given) => {
    const items = given.split(',').map((item) => item.trim());
    return accepts(items) ? (items as T[]) : undefined;
  });
}

/** A schema for any text that is not empty. */
export const text = matching(() => true);
/** A schema that gives undefined if the variable is not set, else the value of `schema`. */
export const optional = <T>(schema: z.ZodMiniType<T, string>): z.ZodMiniType<T | undefined, string> =>
  lazily(() =>
    z.union([
      z.pipe(
        z.literal(''),
        z.transform(() => undefined),
      ),
      schema,
    ]),
  );

/** A schema for the path of a URL (RFC 3986, 3.3). It does not allow braces, which mark a parameter in the path of a route. */
export const path = matching((given) => /^\/[\w\-.~%!$&'()*+,;=:@/]*$/.test(given));

/** A schema for an `.onnx` file by its path below a model's folder, which it cannot leave. */
export const fileBelow = matching(
  (file) =>
    file.endsWith('.onnx') && file.split('/').every((part) => !['', '.', '..'].includes(part) && !/[\0\\]/.test(part)),
);

/** The model's name in a path of any of the server's protocols, percent-decoded; undefined if the path names no model. */
export function modelOfRoute(route: string): string | undefined {
  const [, name] = /^(?:\/v[12])?\/models\/([^/:]+)(?=$|[/:])/.exec(route) ?? [];
  try {
    return name === undefined ? undefined : decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** A schema for letters, digits, `-` and `_`, which need no percent-encoding in a path. */
export const id = matching((given) => /^[\w-]+$/.test(given));

/** A schema for an address to listen on: an IP address, a host name, or `*` for all addresses. */
export const host = matching((given) => /^(\*|[\w.:%-]+)$/.test(given));

/** A schema for origins as browsers send them (RFC 6454, 6.2), separated by commas, or `*` alone for all. */
export const origins = listOf((list) => (list.length === 1 && list[0] === '*') || list.every(isOrigin));

function isOrigin(text: string): boolean {
  return /^https?:\/\/[\w.:[\]-]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text;
}

/** A schema for names of models, separated by commas; blanks around a name are not part of it. */
export const names: z.ZodMiniType<readonly string[], string> = listOf((list) => !list.includes(''));
