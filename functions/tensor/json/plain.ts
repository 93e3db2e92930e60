import type { JsonValue } from './reader.ts';

/** A number that JSON.stringify writes as the given text: no digit of an int64 is lost. */
const raw = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON;

const same = (value: number): number => value;

/**
 * A value of a JSON text as `JSON.stringify` takes it, with all digits of its integers.
 * @param write the number to write for a number
 */
export function toPlain(value: JsonValue, write: (value: number) => number = same): unknown {
  if (typeof value === 'number') return write(value);
  if (typeof value === 'bigint') return raw(String(value));
  if (value instanceof Float64Array) return Array.from(value, write);
  if (Array.isArray(value)) return value.map((inner) => toPlain(inner, write));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toPlain(inner, write)]));
}
