import { badAnswer } from './client-error.ts';
import type { RawResponse } from './connection.ts';
import type { InferParameters, InferRequest, InferResponse, OutputChoice, Outputs } from './infer-types.ts';
import { parseJson, writeJson } from './json.ts';
import { checkTensor, isDatatype, type Tensor } from './tensor.ts';
import { decodeTensor, encodeTensor } from './tensor-bytes.ts';
import { readData, writeData } from './tensor-json.ts';

/** Source: the Open Inference Protocol's REST specification, and its binary tensor data extension. */

/** How tensors are sent: `binary` keeps every bit, `json` can be read by people. */
export type Encoding = 'binary' | 'json';

/** The header with the length of the JSON before the tensors' bytes. */
const HEADER_LENGTH = 'Inference-Header-Content-Length';

interface InferBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** Writes a request of `infer`. @throws TypeError if a tensor's data does not fit its datatype or shape, or `classes` names an output that is not requested. */
export function writeInfer(request: InferRequest<OutputChoice>, encoding: Encoding): InferBody {
  const binary = encoding === 'binary';
  const blobs: Uint8Array[] = [];
  const inputs = Object.entries(request.inputs).map(([name, tensor]) => {
    checkTensor(name, tensor);
    const lead = `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape}]`;
    if (!binary) return `${lead},"data":${writeData(name, tensor)}}`;
    const blob = encodeTensor(tensor);
    blobs.push(blob);
    return `${lead},"parameters":{"binary_data_size":${blob.length}}}`;
  });
  const { id } = request;
  const outputs = chosenOutputs(request);
  const parameters = binary ? { ...request.parameters, binary_data_output: true } : request.parameters;
  const members = [
    ...(id === undefined ? [] : [`"id":${JSON.stringify(id)}`]),
    ...(parameters === undefined ? [] : [`"parameters":${writeJson(parameters)}`]),
    `"inputs":[${inputs.join(',')}]`,
    ...(outputs === undefined ? [] : [`"outputs":${JSON.stringify(outputs)}`]),
  ];
  const json = `{${members.join(',')}}`;
  if (!binary) return { headers: { 'Content-Type': 'application/json' }, body: json };
  const head = new TextEncoder().encode(json);
  const headers = { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: String(head.length) };
  return { headers, body: concat([head, ...blobs]) };
}

/** The member `outputs` of the request; undefined for all outputs. */
function chosenOutputs({ outputs, classes }: InferRequest<OutputChoice>): object[] | undefined {
  if (outputs === undefined && classes === undefined) return undefined;
  const names = outputs === undefined ? Object.keys(classes!) : namesOf(outputs);
  const other = Object.keys(classes ?? {}).find((name) => !names.includes(name));
  if (other !== undefined) throw new TypeError(`classes: ${other} is not among the requested outputs`);
  return names.map((name) => {
    const count = classes !== undefined && Object.hasOwn(classes, name) ? classes[name] : undefined;
    return count === undefined ? { name } : { name, parameters: { classification: count } };
  });
}

/** Reads a response of `infer`. @throws ClientError `BAD_ANSWER` if it breaks the protocol, or lacks an output of `choice`. */
export function readInfer<O extends OutputChoice>({ headers, bytes }: RawResponse, choice: O): InferResponse<O> {
  const length = headers.get(HEADER_LENGTH);
  const headLength = length === null ? bytes.byteLength : Number(length);
  if (!Number.isInteger(headLength) || headLength < 0 || headLength > bytes.byteLength)
    throw badAnswer(`${HEADER_LENGTH} is ${length}, the response has ${bytes.byteLength} bytes`);
  const json = asObject(parseJson(new Uint8Array(bytes, 0, headLength)), 'the response');
  const outputs = readOutputs(json.outputs, bytes, headLength);
  checkChoice(outputs, choice);
  const { model_name, model_version, id, parameters } = json;
  return {
    modelName: String(model_name),
    modelVersion: model_version === undefined ? undefined : String(model_version),
    id: typeof id === 'string' ? id : undefined,
    parameters: parameters as InferParameters | undefined,
    // Own members, whatever their names.
    outputs: Object.fromEntries(outputs) as Outputs<O>,
  };
}

function readOutputs(list: unknown, bytes: ArrayBuffer, from: number): Map<string, Tensor> {
  if (!Array.isArray(list)) throw badAnswer('outputs: expected an array in the response');
  const outputs = new Map<string, Tensor>();
  let offset = from;
  for (const [i, item] of list.entries()) {
    const { name, datatype, shape, data, parameters } = asObject(item, `outputs[${i}]`);
    if (typeof name !== 'string' || !isDatatype(datatype) || !isShape(shape))
      throw badAnswer(
        `outputs[${i}]: expected a name, a datatype and a shape, got ${JSON.stringify(item).slice(0, 200)}`,
      );
    const size = (parameters as InferParameters | undefined)?.binary_data_size;
    if (size === undefined) {
      outputs.set(name, { datatype, shape, data: readData(name, datatype, shape, data) });
      continue;
    }
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || offset + size > bytes.byteLength)
      throw badAnswer(`${name}: binary_data_size is ${size}, ${bytes.byteLength - offset} bytes are left`);
    outputs.set(name, {
      datatype,
      shape,
      data: decodeTensor(name, datatype, shape, new Uint8Array(bytes, offset, size)),
    });
    offset += size;
  }
  if (offset !== bytes.byteLength)
    throw badAnswer(`${bytes.byteLength - offset} bytes of the response belong to no output`);
  return outputs;
}

function checkChoice(outputs: ReadonlyMap<string, Tensor>, choice: OutputChoice): void {
  for (const name of namesOf(choice)) {
    const datatype = outputs.get(name)?.datatype;
    const expected = isList(choice) ? datatype : choice?.[name];
    if (datatype === undefined || datatype !== expected)
      throw badAnswer(`${name}: expected this output${expected ? ` as ${expected}` : ''}, got ${datatype ?? 'none'}`);
  }
}

const isList = (choice: OutputChoice): choice is readonly string[] => Array.isArray(choice);

const namesOf = (choice: OutputChoice): readonly string[] => (isList(choice) ? choice : Object.keys(choice ?? {}));

const isShape = (shape: unknown): shape is number[] =>
  Array.isArray(shape) && shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0);

function asObject(value: unknown, place: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw badAnswer(`${place}: expected an object, got ${JSON.stringify(value)}`);
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
