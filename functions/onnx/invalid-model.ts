import { ServingError } from '../errors.ts';

/** The fields that every ONNX file must have. */
interface Essentials {
  readonly hasGraph: boolean;
  /** 0 if there is none. */
  readonly irVersion: bigint;
  /** The number of operator sets that it imports. */
  readonly opsets: number;
}

/** From this size on, protobuf's libraries refuse a message. */
const PROTOBUF_LIMIT_BYTES = 2 ** 31;

/** The error `MODEL_FAILED` for a file that is not a valid ONNX model. @param place names the file: a path or URI */
export function invalidModelError(place: string, reason: string, cause?: unknown): ServingError {
  return new ServingError('MODEL_FAILED', `${place}: expected an ONNX model, but ${reason}`, { cause });
}

/** Checks the size of a model file. @throws ServingError `MODEL_FAILED` if it is empty, or too large for a protobuf message */
export function checkSize(size: number, place: string): void {
  if (size === 0) throw invalidModelError(place, 'the file is empty');
  if (size >= PROTOBUF_LIMIT_BYTES) {
    const how = 'export it with external data (onnx.save_model: save_as_external_data=True)';
    throw invalidModelError(place, `it has ${size} bytes, and protobuf's limit is 2 GB: ${how}`);
  }
}

/** Checks that a decoded file is a model. @throws ServingError `MODEL_FAILED` if it lacks a field that every model has */
export function checkEssentials({ hasGraph, irVersion, opsets }: Essentials, size: number, place: string): void {
  const cut = `it is cut short (it has ${size} bytes)`;
  // Most byte strings cannot be decoded; a few short ones can, as a message of unknown fields.
  if (!hasGraph) throw invalidModelError(place, `it has no graph: ${cut}, or some other protobuf message`);
  // The specification (IR.md, "Models") requires these fields. Writers put them before or after the graph.
  if (irVersion <= 0n) throw invalidModelError(place, `it has no ir_version: ${cut} or damaged`);
  if (irVersion >= 3n && opsets === 0) throw invalidModelError(place, `it has no opset_import: ${cut} or damaged`);
}

/** An input or output of a type that onnxruntime-node does not support. */
export interface UnsupportedValue {
  readonly kind: 'input' | 'output';
  readonly name: string;
  /** In the form of error messages: `sequence of map(int64, float)`, `tensor(bfloat16)`; undefined if the file leaves it open. */
  readonly type: string | undefined;
}

/** The error `MODEL_FAILED` for inputs and outputs that onnxruntime-node cannot take or return. It says how to export each. */
export function unsupportedValueError(place: string, values: readonly UnsupportedValue[]): ServingError {
  const named = values.map(
    ({ kind, name, type = 'of a type that the file leaves open' }) =>
      `${kind} ${name} is ${type}, which onnxruntime-node cannot ${kind === 'input' ? 'take' : 'return'}`,
  );
  const remedies = [...new Set(values.map(remedyOf))];
  return new ServingError('MODEL_FAILED', `${place}: ${named.join('; ')}: ${remedies.join('; ')}`);
}

function remedyOf({ kind, type = '' }: UnsupportedValue): string {
  const [, element] = /^tensor\((\w+)\)$/.exec(type) ?? [];
  const isInput = kind === 'input';
  if (element?.startsWith('complex')) {
    return 'export the real and the imaginary part as a float tensor with a last dimension of 2';
  }
  if (element !== undefined) {
    const other = element.includes('float') ? 'float32' : element.startsWith('u') ? 'uint8' : 'int8';
    return `export it as ${other}, with a Cast node between it and the rest of the model`;
  }
  if (/\bmap\(/.test(type)) {
    return isInput
      ? 'export the model with a tensor in its place (scikit-learn: without the DictVectorizer)'
      : "export the model without it (scikit-learn: options={'zipmap': False})";
  }
  if (type.startsWith('optional')) return 'export it as the tensor itself, not as an optional one';
  if (type.startsWith('sparse')) return 'export it as a dense tensor';
  return isInput
    ? 'export the model with a tensor for each element of it'
    : 'export the model with a tensor for each element of it, or with one tensor (a ConcatFromSequence node at the end)';
}

/** Files that are often mistaken for ONNX models, by their first bytes. */
const OTHERS: readonly [start: readonly number[], found: string][] = [
  [[0x50, 0x4b, 0x03, 0x04], 'a zip archive, such as PyTorch writes: export the model as ONNX'],
  [[0x1f, 0x8b], 'a gzip file: unpack it first'],
  [[0x80, 0x02], 'a Python pickle: export the model as ONNX'],
  [[0x80, 0x03], 'a Python pickle: export the model as ONNX'],
  [[0x80, 0x04], 'a Python pickle: export the model as ONNX'],
  [[0x80, 0x05], 'a Python pickle: export the model as ONNX'],
  [[0x89, 0x48, 0x44, 0x46], 'an HDF5 file, such as Keras writes: export the model as ONNX'],
];

/** How many of a file's first bytes {@link guess} uses. */
export const GUESS_BYTES = 64;

/** Says what a file that cannot be decoded probably is. @param start its first bytes, up to {@link GUESS_BYTES} */
export function guess(start: Uint8Array, size: number): string {
  const text = new TextDecoder().decode(start.subarray(0, GUESS_BYTES), { stream: true });
  if (text.startsWith('version https://git-lfs')) {
    return 'found a Git LFS pointer: fetch the file itself (git lfs pull)';
  }
  if (/^[\s\u0020-\u007e\u00a0-\ufffc]+$/.test(text)) return `found text: ${JSON.stringify(text.trim().slice(0, 32))}`;
  for (const [magic, found] of OTHERS) if (magic.every((byte, i) => start[i] === byte)) return `found ${found}`;
  return `its ${size} bytes cannot be decoded: it is cut short, or some other kind of file`;
}
