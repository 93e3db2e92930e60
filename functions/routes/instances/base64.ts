import { ServingError } from '../../errors.ts';
import { decodeBase64, isBase64 } from '../../tensor/base64.ts';
import type { JsonObject, JsonValue } from '../../tensor/json/reader.ts';
import { isObject } from '../../tensor/json/reader.ts';
import type { Signature, TensorSpec } from '../../tensor/tensor.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Whether an input has strings, for which callers may send the bytes of their text. In any JSON, `{"b64": …}` is an object like another. */
export const takesText = ({ inputs }: Signature): boolean => inputs.some(isText);

const isText = ({ dtype, bytes, json }: TensorSpec): boolean => dtype === 'string' && bytes !== true && json !== true;

/**
 * Replaces the bytes, `{"b64": …}`, in the string inputs of an instance, or of all columns, by their text. Changes `value`.
 * Strings of ONNX are UTF-8.
 * @param path of `value` in the caller's input.
 * @returns `value`, or what replaces it.
 * @throws ServingError `INVALID_INPUT` for what is not base64, and for bytes that are not UTF-8.
 */
export function unpackText(value: JsonValue, { inputs }: Signature, path: string): JsonValue {
  if (!isObject(value) || isBase64(value)) {
    return inputs.length === 1 && isText(inputs[0]!) ? textsOf(value, path) : value;
  }
  for (const input of inputs) {
    const { name } = input;
    if (isText(input) && Object.hasOwn(value, name)) value[name] = textsOf(value[name]!, `${path}.${name}`);
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
  const bytes = decodeBase64(b64);
  if (bytes === undefined) throw refuse(path, 'b64 is not base64');
  try {
    return utf8.decode(bytes);
  } catch {
    throw refuse(path, 'the bytes are not UTF-8, which strings of ONNX models are');
  }
}

function refuse(path: string, what: string): ServingError {
  return new ServingError('INVALID_INPUT', `${path}: ${what}`, { path });
}
