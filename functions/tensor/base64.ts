import { ServingError } from '../errors.ts';
import { isObject, type JsonValue } from './json/reader.ts';

/** The most characters before the comma of a `data:` URL. */
const LONGEST_HEAD = 256;

/**
 * Decodes base64 of either alphabet (RFC 4648, 4 and 5), with or without padding.
 * @returns undefined for anything else
 */
export function decodeBase64(text: string): Buffer | undefined {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = padding === 0 ? text : text.slice(0, -padding);
  if (digits.length % 4 === 1 || Buffer.byteLength(digits) !== digits.length) return undefined;
  const bytes = Buffer.from(digits, 'base64');
  // Node skips what is no digit: there are fewer bytes then. A pattern would take eight times as long.
  return bytes.length === Math.floor((digits.length * 3) / 4) ? bytes : undefined;
}

/** Whether a value is the form of bytes in TensorFlow Serving and Vertex AI: `{"b64": "…"}`, without other keys. */
export function isBase64(value: JsonValue | undefined): value is { b64: string } {
  if (!isObject(value) || typeof value.b64 !== 'string') return false;
  for (const key in value) if (key !== 'b64') return false;
  return true;
}

/**
 * The bytes of an element, one character each: see `TensorSpec.bytes`. Linear in the text.
 * @param value base64, `{"b64": base64}`, or a `data:` URL of base64
 * @param place gives the path of the value, for the error
 * @throws ServingError `INVALID_INPUT`
 */
export function bytesOf(value: JsonValue, place: () => string): string {
  const text = isBase64(value) ? value.b64 : value;
  if (typeof text !== 'string') throw refuse(place(), 'expected base64, or {"b64": base64}');
  const bytes = decodeBase64(text.startsWith('data:') ? contentOf(text, place) : text);
  if (bytes === undefined) throw refuse(place(), 'the text is not base64');
  return bytes.toString('latin1');
}

function contentOf(url: string, place: () => string): string {
  const comma = url.slice(0, LONGEST_HEAD).indexOf(',');
  if (comma !== -1 && url.slice(0, comma).endsWith(';base64')) return url.slice(comma + 1);
  throw refuse(place(), 'expected a data: URL that ends its head with ;base64 and a comma');
}

function refuse(path: string, what: string): ServingError {
  return new ServingError('INVALID_INPUT', `${path}: ${what}`, { path });
}
