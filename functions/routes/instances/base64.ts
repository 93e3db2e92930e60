import { ServingError } from '../../errors.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import { isObject } from '../../tensor/json/reader.ts';
import type { Signature } from '../../tensor/tensor.ts';

/** A character that is no digit of base64 (RFC 4648, 4 and 5). A pattern for the entire text would backtrack. */
const NO_DIGIT = /[^A-Za-z0-9+/_-]/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether a value is the form of bytes in TensorFlow Serving and Vertex AI: `{"b64": "…"}`, without other keys. */
export function isBase64(value: JsonValue | undefined): value is { b64: string } {
  if (!isObject(value) || typeof value.b64 !== 'string') return false;
  for (const key in value) if (key !== 'b64') return false;
  return true;
}

/** Whether an input has strings, for which callers may send bytes. In any JSON, `{"b64": …}` is an object like another. */
export const takesText = ({ inputs }: Signature): boolean =>
  inputs.some(({ dtype, json }) => dtype === 'string' && !json);

/**
 * Replaces the bytes, `{"b64": …}`, in the string inputs of an instance, or of all columns, by their text. Changes `value`.
 * Strings of ONNX are UTF-8.
 * @param path of `value` in the caller's input.
 * @returns `value`, or what replaces it.
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
  // With or without padding, as TensorFlow Serving accepts it.
  const padding = b64.endsWith('==') ? 2 : b64.endsWith('=') ? 1 : 0;
  const digits = padding === 0 ? b64 : b64.slice(0, -padding);
  if (NO_DIGIT.test(digits) || digits.length % 4 === 1) throw refuse(path, 'b64 is not base64');
  try {
    return utf8.decode(Buffer.from(digits, 'base64'));
  } catch {
    throw refuse(path, 'the bytes are not UTF-8, which strings of ONNX models are');
  }
}

function refuse(path: string, what: string): ServingError {
  return new ServingError('INVALID_INPUT', `${path}: ${what}`, { path });
}
