import type { AnyTensor, InferResponse } from '../../clients/typescript/src/client.ts';
import { ClientError } from '../../clients/typescript/src/client-error.ts';
import { readInfer } from '../../clients/typescript/src/infer.ts';
import { writeJson } from '../../clients/typescript/src/json.ts';
import { encodeTensor } from '../../clients/typescript/src/tensor-bytes.ts';
import { type Context, Wrong } from './check.ts';
import type { Answer } from './http.ts';
import type { Inputs } from './sample.ts';

export const HEADER_LENGTH = 'Inference-Header-Content-Length';
export type Encoding = 'json' | 'binary';

/** The encodings of tensors that the server accepts. */
export const encodingsOf = async ({ hasBinary }: Context): Promise<Encoding[]> =>
  (await hasBinary()) ? ['json', 'binary'] : ['json'];

/** Members of a request in addition to its inputs, or instead of them. */
export type Extra = Readonly<Record<string, unknown>>;

export const inferPath = (model: string, version?: string): string =>
  `/v2/models/${encodeURIComponent(model)}${version === undefined ? '' : `/versions/${version}`}/infer`;

/** Sends a text unchanged, or an object as JSON with all digits of bigints. */
export function inferJson(context: Context, path: string, body: unknown): Promise<Answer> {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : writeJson(body);
  return context.send({ method: 'POST', path, headers: { 'Content-Type': 'application/json' }, body: text });
}

/** Sends JSON followed by bytes. */
export function inferBinary(
  context: Context,
  path: string,
  head: unknown,
  blob: Uint8Array = new Uint8Array(),
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const json = Buffer.from(typeof head === 'string' ? head : writeJson(head));
  return context.send({
    method: 'POST',
    path,
    headers: { 'Content-Type': 'application/octet-stream', [HEADER_LENGTH]: String(json.length), ...headers },
    body: Buffer.concat([json, blob]),
  });
}

/** A tensor in the form of a JSON request, flat. */
export function jsonTensor(name: string, { datatype, shape, data }: AnyTensor, extra: Extra = {}): object {
  return { name, datatype, shape, data: Array.from<unknown>(data), ...extra };
}

/** A tensor in the form of a request that its bytes follow. */
export function binaryTensor(name: string, tensor: AnyTensor, extra: Extra = {}): { item: object; blob: Uint8Array } {
  const blob = encodeTensor(tensor);
  const { datatype, shape } = tensor;
  return { item: { name, datatype, shape, parameters: { binary_data_size: blob.length }, ...extra }, blob };
}

/** Sends the inputs, and requests outputs in the same encoding. `extra` are members of the request. */
export function infer(
  context: Context,
  encoding: Encoding,
  path: string,
  inputs: Inputs,
  extra: Extra = {},
): Promise<Answer> {
  const entries = Object.entries(inputs);
  if (encoding === 'json')
    return inferJson(context, path, { inputs: entries.map(([name, tensor]) => jsonTensor(name, tensor)), ...extra });
  const parts = entries.map(([name, tensor]) => binaryTensor(name, tensor));
  const head = { inputs: parts.map(({ item }) => item), parameters: { binary_data_output: true }, ...extra };
  return inferBinary(context, path, head, Buffer.concat(parts.map(({ blob }) => blob)));
}

/** The tensors of a response of 200. @throws Wrong for another status, or if it breaks the protocol. */
export function readTensors(answer: Answer): InferResponse {
  if (answer.status !== 200) throw new Wrong(`expected 200, got ${show(answer)}`);
  try {
    return readInfer({ headers: new Headers(answer.headers), bytes: answer.bytes.buffer }, undefined);
  } catch (error) {
    if (error instanceof ClientError) throw new Wrong(error.message);
    throw error;
  }
}

/** The one output of a response of 200. */
export function readOnly(answer: Answer): AnyTensor {
  const [tensor, more] = Object.values(readTensors(answer).outputs);
  if (tensor === undefined || more !== undefined) throw new Wrong(`expected one output, got ${show(answer)}`);
  return tensor;
}

/** A response on one line. */
export function show({ status, headers, text }: Answer): string {
  return `${status} ${headers['content-type'] ?? 'without a content type'}: ${text.replace(/\s+/g, ' ').slice(0, 300)}`;
}
