import type { Priority } from '../../engine/batcher.ts';
import type { RowForm } from '../../model/folder/rows.ts';
import { listNames } from '../../shorten.ts';
import { describe } from '../../tensor/fill.ts';
import { isObject, type JsonObject, type JsonValue, MAX_VALUES, readJson } from '../../tensor/json/reader.ts';
import type { Signature, Tensor, TensorSpec } from '../../tensor/tensor.ts';
import { readRaw } from './binary-in.ts';
import { readInputs } from './inputs.ts';
import { invalid, readParameters, slotsOf } from './members.ts';
import { hasScores, withoutScores } from './triton/classification.ts';

/** An output that a request names. */
export interface RequestedOutput {
  /** Its index in the signature. */
  readonly slot: number;
  /** Whether it is sent as binary data, instead of JSON. */
  readonly binary: boolean;
  /** How many of the highest elements of each row are sent instead; undefined: the output itself. */
  readonly classes?: number;
}

/** An infer request, decoded. Plain data: it may come from another thread. */
export interface InferRequest {
  readonly id: string | undefined;
  /** One for each input, in the order of the signature. */
  readonly tensors: readonly Tensor[];
  /** In the order of the request. */
  readonly outputs: readonly RequestedOutput[];
  /** Microseconds that it may take; undefined without a timeout of its own. */
  readonly timeout: number | undefined;
  /** Undefined without a priority of its own. */
  readonly priority?: Priority | undefined;
}

/**
 * Reads the body of an infer request (Open Inference Protocol v2, "Inference Request JSON Object", with the binary tensor data
 * extension). Members that the protocol does not have are ignored, as are parameters without a meaning here.
 * @param textBytes length of the JSON text before the binary data, `Inference-Header-Content-Length`; 0 if the body is only the
 * data of the one input; undefined if the body is only JSON.
 * @param maxValues as for `readJson`.
 * @returns tensors that are views of the body, if they are binary and start at a multiple of their element's size.
 * @throws ServingError `INVALID_INPUT` that names the tensor, and what was expected and given; `UNSUPPORTED` for members of other
 * extensions.
 */
export function readInfer(
  body: Uint8Array,
  { signature, joinsRows }: Pick<RowForm, 'signature' | 'joinsRows'>,
  textBytes: number | undefined,
  maxValues = MAX_VALUES,
): InferRequest {
  if (textBytes === 0) {
    return {
      id: undefined,
      tensors: [readRaw(body, signature, joinsRows)],
      outputs: all(signature, true),
      timeout: undefined,
    };
  }
  const length = textBytes ?? body.length;
  return readInferText(readJson(body, 0, length, maxValues, true), signature, body.subarray(length));
}

/** Reads an infer request whose JSON text has been parsed. @param binary the bytes after the text. @throws ServingError as `readInfer`. */
export function readInferText(request: JsonValue, signature: Signature, binary: Uint8Array): InferRequest {
  if (!isObject(request))
    throw invalid(undefined, `the body: expected an object with inputs, got ${describe(request)}`);
  const parameters = readParameters(request, '');
  const binaryOutput = readFlag(parameters, 'binary_data_output', 'parameters') ?? false;
  return {
    id: readId(request),
    timeout: readTimeout(parameters),
    priority: readPriority(parameters),
    outputs: readOutputs(request.outputs, signature, binaryOutput),
    tensors: readInputs(request.inputs, signature, binary),
  };
}

/** Most characters of an id, which is part of the response: one as long as a body would take long to write. */
const MAX_ID = 4096;

function readId({ id }: JsonObject): string | undefined {
  if (id === undefined || (typeof id === 'string' && id.length <= MAX_ID)) return id;
  const given = typeof id === 'string' ? `one of ${id.length}` : describe(id);
  throw invalid('id', `id: expected a string of at most ${MAX_ID} characters, got ${given}`);
}

/** 0 means none (Triton, schedule policy extension). */
function readTimeout(parameters: JsonObject | undefined): number | undefined {
  const timeout = parameters?.timeout;
  if (timeout === undefined) return undefined;
  const given = typeof timeout === 'bigint' ? Number(timeout) : timeout;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 0) {
    const message = `parameters.timeout: expected microseconds, an integer from 0 on, got ${describe(timeout)}`;
    throw invalid('parameters.timeout', message);
  }
  return given === 0 ? undefined : given;
}

/** Triton's schedule policy extension: 0 means the default, 1 is the highest priority, and higher numbers are lower ones. */
function readPriority(parameters: JsonObject | undefined): Priority | undefined {
  const priority = parameters?.priority;
  if (priority === undefined) return undefined;
  const given = typeof priority === 'bigint' ? Number(priority) : priority;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 0) {
    const message = `parameters.priority: expected an integer from 0 on, got ${describe(priority)}`;
    throw invalid('parameters.priority', message);
  }
  return given === 0 ? undefined : (Math.min(given - 1, 2) as Priority);
}

function readFlag(parameters: JsonObject | undefined, name: string, place: string): boolean | undefined {
  const flag = parameters?.[name];
  if (flag === undefined || typeof flag === 'boolean') return flag;
  throw invalid(`${place}.${name}`, `${place}.${name}: expected true or false, got ${describe(flag)}`);
}

const all = ({ outputs }: Signature, binary: boolean): RequestedOutput[] =>
  outputs.map((_, slot) => ({ slot, binary }));

/** Without requested outputs all are sent, as in Triton. */
function readOutputs(outputs: JsonValue | undefined, signature: Signature, binary: boolean): RequestedOutput[] {
  if (outputs === undefined) return all(signature, binary);
  if (!Array.isArray(outputs)) throw invalid('outputs', `outputs: expected an array, got ${describe(outputs)}`);
  if (outputs.length === 0) return all(signature, binary);
  const slots = slotsOf(signature.outputs);
  const requested = new Map<number, RequestedOutput>();
  for (const [i, output] of outputs.entries()) {
    const place = `outputs[${i}]`;
    if (!isObject(output)) throw invalid(place, `${place}: expected an object with a name, got ${describe(output)}`);
    const { name } = output;
    const slot = slots.get(name);
    if (slot === undefined) {
      const names = listNames([...slots.keys()] as string[]);
      throw invalid(`${place}.name`, `${place}.name: expected one of the outputs ${names}, got ${describe(name)}`);
    }
    if (requested.has(slot)) {
      throw invalid(`${place}.name`, `${place}.name: the output ${describe(name)} is requested twice`);
    }
    const parameters = readParameters(output, place);
    requested.set(slot, {
      slot,
      binary: readFlag(parameters, 'binary_data', `${place}.parameters`) ?? binary,
      ...readClasses(parameters, signature.outputs[slot]!, place),
    });
  }
  return [...requested.values()];
}

/** 0 means none (Triton, classification extension). */
function readClasses(parameters: JsonObject | undefined, spec: TensorSpec, place: string): { classes?: number } {
  const classes = parameters?.classification;
  if (classes === undefined || classes === 0) return {};
  const path = `${place}.parameters.classification`;
  if (typeof classes !== 'number' || !Number.isInteger(classes) || classes < 0) {
    throw invalid(path, `${path}: expected a number of classes, an integer from 0 on, got ${describe(classes)}`);
  }
  if (hasScores(spec.dtype)) return { classes };
  throw invalid(path, `${path}: ${withoutScores(spec.dtype)}`);
}
