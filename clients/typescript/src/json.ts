import { badAnswer } from './client-error.ts';

const decoder = new TextDecoder();

/** Parses the JSON of a response. @throws ClientError `BAD_ANSWER` */
export function parseJson(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): unknown {
  const text = decoder.decode(bytes);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw badAnswer(`the response is not JSON: ${text.slice(0, 200)}`, error);
  }
}

/**
 * Writes a value as the server's JSON: all digits of a bigint, typed arrays as arrays, and `"NaN"`, `"Infinity"`, `"-Infinity"` for
 * numbers that JSON lacks.
 */
export function writeJson(value: unknown): string {
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return `[${value.map(writeJson).join(',')}]`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return `[${Array.from(value as unknown as Iterable<number | bigint>, writeJson).join(',')}]`;
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return `{${members.map(([name, inner]) => `${JSON.stringify(name)}:${writeJson(inner)}`).join(',')}}`;
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0' : String(value);
}
