import { addGraphData, addNodeData } from './external-data.ts';
import { checkEssentials, checkSize, GUESS_BYTES, guess, invalidModelError } from './invalid-model.ts';
import { readValue, type Value } from './value-type.ts';
import { type Bytes, type Field, fields, int64, openBytes, textOf, WireError } from './wire.ts';

interface OpsetImport {
  /** `ai.onnx` for ONNX's own operator set, whose domain in a file is ''. */
  readonly domain: string;
  readonly version: number;
}

/** The contents of a model file apart from its nodes and weights. */
export interface Inspection {
  readonly bytes: number;
  readonly irVersion: number;
  readonly opsets: readonly OpsetImport[];
  /** Files with external data, each once: their paths relative to the model's folder. */
  readonly external: readonly string[];
  /** In the file's order. Up to IR version 3 initializers are among them. */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

interface Findings {
  /** The fields of the outermost message end at the end of the file. */
  isComplete: boolean;
  irVersion: bigint;
  hasGraph: boolean;
  readonly opsets: OpsetImport[];
  readonly external: Set<string>;
  readonly inputs: Value[];
  readonly outputs: Value[];
}

/**
 * Reads a model file without its weights and lists of numbers, so that memory does not grow with the file, and time grows with the
 * nodes and tensors alone. Reads synchronously.
 *
 * @throws ServingError `MODEL_FAILED` for a file that is not an ONNX model: with its path, what it is instead, and what to do
 */
export function inspectModel(path: string): Inspection {
  let bytes: Bytes;
  try {
    bytes = openBytes(path);
  } catch (cause) {
    throw invalidModelError(path, `it cannot be opened: ${(cause as Error).message}`, cause);
  }
  const found: Findings = {
    isComplete: false,
    irVersion: 0n,
    hasGraph: false,
    opsets: [],
    external: new Set(),
    inputs: [],
    outputs: [],
  };
  try {
    checkSize(bytes.size, path);
    const parts: Field[] = [];
    for (const part of fields(bytes, 0, bytes.size)) {
      parts.push(part);
      if (part.number === 1 && part.wire === 0) found.irVersion = int64(bytes, part);
    }
    found.isComplete = true;
    for (const part of parts) addPart(bytes, part, found);
    checkEssentials({ ...found, opsets: found.opsets.length }, bytes.size, path);
  } catch (cause) {
    if (cause instanceof WireError) throw invalidModelError(path, damage(bytes, found, cause), cause);
    if (isFileError(cause)) throw invalidModelError(path, `it cannot be read: ${cause.message}`, cause);
    throw cause;
  } finally {
    bytes.close();
  }
  return {
    bytes: bytes.size,
    irVersion: Number(found.irVersion),
    opsets: found.opsets,
    external: [...found.external],
    inputs: found.inputs,
    outputs: found.outputs,
  };
}

/** One field of ModelProto. */
function addPart(bytes: Bytes, field: Field, found: Findings): void {
  if (field.number === 7) {
    found.hasGraph = true;
    expectMessage(field);
    addGraphData(bytes, field, 0, found.external);
    for (const inner of fields(bytes, field.from, field.to)) {
      if (inner.number === 11) found.inputs.push(readValue(bytes, inner));
      if (inner.number === 12) found.outputs.push(readValue(bytes, inner));
    }
  } else if (field.number === 8) {
    expectMessage(field);
    found.opsets.push(readOpset(bytes, field));
  } else if (field.number === 25) {
    // The nodes of a function may have tensors in their attributes, too.
    expectMessage(field);
    for (const inner of fields(bytes, field.from, field.to)) {
      if (inner.number === 7) addNodeData(bytes, inner, 0, found.external);
    }
  }
}

function readOpset(bytes: Bytes, field: Field): OpsetImport {
  let version = 0n;
  for (const inner of fields(bytes, field.from, field.to)) {
    if (inner.number === 2 && inner.wire === 0) version = int64(bytes, inner);
  }
  return { domain: textOf(bytes, field, 1) || 'ai.onnx', version: Number(version) };
}

function expectMessage({ number, wire, start }: Field): void {
  if (wire !== 2) throw new WireError(`byte ${start}: field ${number} of the model is not a message`);
}

/** Describes what is wrong with a file that cannot be decoded. */
function damage(bytes: Bytes, { isComplete, irVersion }: Findings, { message, end }: WireError): string {
  const has = `it has ${bytes.size} bytes`;
  // It begins as a model, and one of its fields would end after the end of the file: the rest of the model is missing.
  if (irVersion > 0n && !isComplete && end !== undefined) return `it is cut short: ${has} of at least ${end}`;
  if (irVersion > 0n) return `it is damaged: ${has}, and ${message}`;
  return guess(bytes.read(0, Math.min(bytes.size, GUESS_BYTES)), bytes.size);
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error;
}
