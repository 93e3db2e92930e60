import { ServingError } from '../../errors.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import { isObject } from '../../tensor/json/reader.ts';
import type { Signature } from '../../tensor/tensor.ts';

/** No digit of RFC 4648, 4 and 5. Searched one character at a time: a pattern for the whole text would backtrack. */
const NO_DIGIT = /[^A-Za-z0-9+/_-]/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether the value is what TensorFlow Serving and Vertex AI write for bytes: an object with the one key `b64`, a text. */
export function isBase64(value: JsonValue | undefined): value is { b64: string } {
  if (!isObject(value) || typeof value.b64 !== 'string') return false;
  for (const key in value) if (key !== 'b64') return false;
  return true;
}

/** Whether bytes may stand for the texts of an input. */
export const takesText = ({ inputs }: Signature): boolean => inputs.some(({ dtype }) => dtype === 'string');

/**
 * What an instance, or all columns, say once the bytes in its string inputs are the texts that they encode. Changes `value`.
 * ONNX has strings of UTF-8 alone.
 * @param path where `value` stands in the caller's input.
 * @throws ServingError `INVALID_INPUT` for what is not base64, and for bytes that are not UTF-8.
 */
export function unpackText(value: JsonValue, { inputs }: Signature, path: string): JsonValue {
  if (!isObject(value) || isBase64(value)) {
    return inputs.length === 1 && inputs[0]!.dtype === 'string' ? textsOf(value, path) : value;
  }
  for (const { name, dtype } of inputs) {
    if (dtype === 'string' && Object.hasOwn(value, name)) value[name] = textsOf(value[name]!, `${path}.${name}`);
  }
  return value;
}

function textsOf(value: JsonValue, path: string): JsonValue {
  if (isBase64(value)) return textOf(value, path);
  if (!Array.isArray(value)) return value;
  for (let i = 0; i < value.length; i++) {
    if (typeof value[i] === 'object') value[i] = textsOf(value[i]!, `${path}[${i}]`);
  }
  return value;
}

function textOf({ b64 }: JsonObject & { b64: string }, path: string): string {
  // With or without the padding: what TensorFlow Serving takes.
  const padding = b64.endsWith('==') ? 2 : b64.endsWith('=') ? 1 : 0;
  const digits = padding === 0 ? b64 : b64.slice(0, -padding);
  if (NO_DIGIT.test(digits) || digits.length % 4 === 1) throw refuse(path, 'b64 is not base64');
  try {
    return utf8.decode(Buffer.from(digits, 'base64'));
  } catch {
    throw refuse(path, 'the bytes are not UTF-8, and a string of an ONNX model can hold nothing else');
  }
}

function refuse(path: string, what: string): ServingError {
  return new ServingError('INVALID_INPUT', `${path}: ${what}`, { path });
}
