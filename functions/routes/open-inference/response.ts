import { setImmediate as turn } from 'node:timers/promises';
import { packTexts } from '../../engine/process/frame.ts';
import { type RequestContext, sendBytes, sendJson } from '../../http/request-context.ts';
import type { Generation } from '../../model/serving/generation.ts';
import { encodeFlat } from '../../tensor/encode.ts';
import { DTYPES, type NumericData, type Tensor } from '../../tensor/tensor.ts';
import { predictionEncoderOf } from '../native/prediction-encoder.ts';
import { DATATYPES } from './datatype.ts';
import type { InferRequest } from './request.ts';
import { classify } from './triton/classification.ts';

/** Elements that are written as JSON at a time, in a third of a millisecond. Other requests get their turn between them. */
const SLICE = 4096;

/**
 * Sends the requested outputs, in the order of the request: `data` is flat and row-major, binary data follows the JSON text
 * without being copied (Open Inference Protocol v2, "Inference Response JSON Object"; Triton, binary tensor data extension).
 * @param modelName the name of the model in the response.
 * @param outputs all outputs of the model, in the order of the signature.
 * @param binaryType the media type of a response with binary data, by the length of its JSON text.
 */
export async function sendOutputs(
  context: RequestContext,
  modelName: string,
  live: Generation,
  request: InferRequest,
  outputs: readonly Tensor[],
  binaryType = (_textBytes: number): string => 'application/octet-stream',
): Promise<void> {
  const texts: Uint8Array[] = [];
  const blobs: Uint8Array[] = [];
  let text = openText(modelName, live.version, request.id);
  for (const [i, { slot, binary, classes }] of request.outputs.entries()) {
    const spec = live.signature.outputs[slot]!;
    const { name } = spec;
    const { joinsRows } = live;
    const { labels } = predictionEncoderOf(live);
    const tensor =
      classes === undefined
        ? outputs[slot]!
        : await classify(
            { tensor: outputs[slot]!, spec, joinsRows, labels },
            classes,
            () => context.cancellation.cancelled,
          );
    if (i > 0) text += ',';
    text += `{"name":${JSON.stringify(name)},"datatype":"${DATATYPES[tensor.dtype]}","shape":[${tensor.dims.join(',')}],`;
    if (binary) {
      const blob = bytesOf(tensor);
      blobs.push(blob);
      text += `"parameters":{"binary_data_size":${blob.length}}}`;
    } else if (tensor.data.length <= SLICE) {
      text += `"data":${encodeFlat(tensor)}}`;
    } else {
      texts.push(Buffer.from(`${text}"data":[`), ...(await encodeSlices(tensor, context)));
      text = ']}';
    }
  }
  text += ']}';
  if (context.cancellation.cancelled) return;
  if (texts.length === 0 && blobs.length === 0) sendJson(context, 200, text);
  else sendPieces(context, [...texts, Buffer.from(text)], blobs, binaryType);
}

function openText(model: string, version: string, id: string | undefined): string {
  const identity = id === undefined ? '' : `"id":${JSON.stringify(id)},`;
  return `{"model_name":${JSON.stringify(model)},"model_version":${JSON.stringify(version)},${identity}"outputs":[`;
}

/** The JSON of the elements with commas between them, in pieces of `SLICE` elements. */
async function encodeSlices({ dtype, data }: Tensor, { cancellation }: RequestContext): Promise<Uint8Array[]> {
  const texts: Uint8Array[] = [];
  for (let from = 0; from < data.length && !cancellation.cancelled; from += SLICE) {
    const to = Math.min(data.length, from + SLICE);
    const slice = Array.isArray(data) ? data.slice(from, to) : data.subarray(from, to);
    const text = encodeFlat({ dtype, dims: [to - from], data: slice });
    texts.push(Buffer.from((from === 0 ? '' : ',') + text.slice(1, -1)));
    await turn();
  }
  return texts;
}

/** The elements of a tensor as the binary data of a request or a response. */
export function bytesOf({ dtype, data }: Tensor): Uint8Array {
  if (dtype === 'string') return packTexts([data]);
  const { buffer, byteOffset } = data as NumericData;
  return new Uint8Array(buffer, byteOffset, data.length * DTYPES[dtype].bytes);
}

function sendPieces(
  context: RequestContext,
  texts: readonly Uint8Array[],
  blobs: readonly Uint8Array[],
  binaryType: (textBytes: number) => string,
): void {
  if (blobs.length === 0) {
    sendBytes(context, 200, ['Content-Type', 'application/json'], texts);
    return;
  }
  const textBytes = texts.reduce((sum, { length }) => sum + length, 0);
  const headers = ['Content-Type', binaryType(textBytes), 'Inference-Header-Content-Length', String(textBytes)];
  sendBytes(context, 200, headers, [...texts, ...blobs]);
}
