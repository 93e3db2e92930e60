import type { JsonObject, JsonValue } from '../tensor/json/reader.ts';

/** An array, also one of plain numbers. */
export function isArray(value: JsonValue | undefined): value is JsonValue[] | Float64Array {
  return Array.isArray(value) || value instanceof Float64Array;
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !isArray(value);
}
