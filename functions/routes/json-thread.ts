/** The thread that reads large bodies, one at a time. */
import { parentPort } from 'node:worker_threads';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import type { Answer, Job } from '../http/json-body.ts';
import { createRowDecoder, type RowFeeds } from '../model/rows.ts';
import { readPredictBody } from './prediction.ts';

/**
 * Values of a predict body, which never leave this thread: a channels-last image of 1024 × 1024 pixels has half as many.
 */
const MAX_PREDICT_VALUES = 2_000_000;

const port = parentPort!;

port.on('message', ({ bytes, form }: Job) => {
  try {
    const transfer: ArrayBuffer[] = [];
    let value: JsonValue | RowFeeds;
    if (form === undefined) {
      value = readJson(bytes);
      collectBuffers(value, transfer);
    } else {
      const rows = createRowDecoder(form.signature, form.names, form.joined);
      value = readPredictBody(readJson(bytes, 0, bytes.length, MAX_PREDICT_VALUES), { rows });
      for (const tensor of value.tensors) {
        if (tensor !== undefined && !Array.isArray(tensor.data)) transfer.push(tensor.data.buffer as ArrayBuffer);
      }
    }
    port.postMessage({ value } satisfies Answer, transfer);
  } catch (error) {
    const { code, message, path } =
      error instanceof ServingError ? error : new ServingError('INTERNAL', String(error), { cause: error });
    port.postMessage({ error: { code, message, path } } satisfies Answer);
  }
});

function collectBuffers(value: JsonValue, into: ArrayBuffer[]): void {
  if (value instanceof Float64Array) into.push(value.buffer as ArrayBuffer);
  else if (Array.isArray(value)) for (const inner of value) collectBuffers(inner, into);
  else if (typeof value === 'object' && value !== null) for (const key in value) collectBuffers(value[key]!, into);
}
