import type { JsonValue } from '../../tensor/json/reader.ts';

/** Writes a value as JSON with all digits of integers above 2^53. NaN and the infinities become texts, which inputs of floats take. */
export function writeJson(value: JsonValue): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return `"${value}"`;
  if (Array.isArray(value) || value instanceof Float64Array) return `[${Array.from(value, writeJson).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, inner]) => `${JSON.stringify(name)}:${writeJson(inner)}`)
    .join()}}`;
}
