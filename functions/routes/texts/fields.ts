import { ServingError } from '../../errors.ts';
import { checkText, describe } from '../../tensor/fill.ts';
import { isArray, isObject, type JsonObject, type JsonValue } from '../../tensor/json/reader.ts';

/** The most texts of a request: each takes memory and time, and all results are sent as one response. */
export const MAX_TEXTS = 32_768;

/** The error for a value of the body. @param path of the value; '' for the body itself */
export function invalid(path: string, message: string): ServingError {
  return new ServingError(
    'INVALID_INPUT',
    `${path === '' ? 'the body' : path}: ${message}`,
    path === '' ? {} : { path },
  );
}

/** The body as an object. @throws ServingError `INVALID_INPUT` */
export function requireObject(body: JsonValue | undefined, path = ''): JsonObject {
  if (isObject(body)) return body;
  throw invalid(path, body === undefined ? 'is missing' : `expected an object, got ${describe(body)}`);
}

/** A text. @throws ServingError `INVALID_INPUT`; also for one that is not well-formed Unicode */
export function readText(value: JsonValue | undefined, path: string): string {
  if (value === undefined) throw invalid(path, 'is missing');
  if (typeof value !== 'string') throw invalid(path, `expected a text, got ${describe(value)}`);
  checkText(value, () => path);
  return value;
}

/** Texts, one at least. @throws ServingError `INVALID_INPUT`; `TOO_LARGE` for more than {@link MAX_TEXTS} */
export function readTexts(value: JsonValue | undefined, path: string): string[] {
  const list = readList(value, path, 'an array of texts');
  return Array.from(list, (text, i) => readText(text, `${path}[${i}]`));
}

/** An array with one element at least. @throws ServingError as {@link readTexts} does */
export function readList(value: JsonValue | undefined, path: string, expected: string): JsonValue[] | Float64Array {
  if (value === undefined) throw invalid(path, 'is missing');
  if (!isArray(value)) throw invalid(path, `expected ${expected}, got ${describe(value)}`);
  if (value.length === 0) throw invalid(path, 'expected one element at least, got an empty array');
  if (value.length <= MAX_TEXTS) return value;
  const message = `${path}: expected at most ${MAX_TEXTS} elements, got ${value.length}: send several requests`;
  throw new ServingError('TOO_LARGE', message, { path });
}

/** A boolean that may be missing or null. @throws ServingError `INVALID_INPUT` */
export function readFlag(object: JsonObject, key: string, path = key): boolean | undefined {
  const value = object[key] ?? undefined;
  if (value === undefined || typeof value === 'boolean') return value;
  throw invalid(path, `expected true or false, got ${describe(value)}`);
}

/** A text that may be missing or null. @throws ServingError `INVALID_INPUT` */
export function readName(object: JsonObject, key: string, path = key): string | undefined {
  const value = object[key] ?? undefined;
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(path, `expected a text, got ${describe(value)}`);
}

/** A positive integer that may be missing or null. @throws ServingError `INVALID_INPUT` */
export function readCount(object: JsonObject, key: string): number | undefined {
  const value = object[key] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw invalid(key, `expected a positive integer, got ${describe(value)}`);
}
