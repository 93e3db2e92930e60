/** The thread that reads large bodies, one at a time. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { ServingError } from '../errors.ts';
import { freeMemory } from '../http/body/owned-memory.ts';
import { createRowDecoder } from '../model/folder/rows.ts';
import { type JsonValue, readJson } from '../tensor/json/reader.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Instances } from './instances/instances.ts';
import { readPredictBody } from './native/prediction.ts';
import { readInfer } from './open-inference/request.ts';
import { LONG_BYTES } from './reading-memory.ts';
import type { Job, JobResult } from './reading-thread.ts';
import { readTensorFlowBody } from './tensorflow-serving/body.ts';
import { readVertexBody, type VertexBody } from './vertex/body.ts';

/** Most values of a body of which only tensors leave this thread: a channels-last image of 1024 × 1024 pixels has half as many. */
const MAX_TENSOR_VALUES = 2_000_000;

const port = parentPort!;

// Node has no other way to call the garbage collector that works in a single thread.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

port.on('message', (job: Job) => {
  const isLong = job.bytes.length > LONG_BYTES;
  respond(job);
  // The memory of a long body is freed before the next one takes as much: V8 itself would free it only while it reads that one.
  if (isLong) collectGarbage();
});

function respond(job: Job): void {
  try {
    const { value, transfer } = read(job);
    port.postMessage({ value, buffers: transfer } satisfies JobResult, transfer);
    // Unless the tensors are views of it.
    freeMemory(job.bytes.buffer);
  } catch (error) {
    const { code, message, path } =
      error instanceof ServingError ? error : new ServingError('INTERNAL', String(error), { cause: error });
    port.postMessage({ error: { code, message, path } } satisfies JobResult);
  }
}

function read({ bytes, reading }: Job): { value: unknown; transfer: ArrayBuffer[] } {
  if (reading.as === 'json') {
    const value = readJson(bytes);
    const transfer: ArrayBuffer[] = [];
    collectBuffers(value, transfer);
    return { value, transfer };
  }
  if (reading.as === 'infer') {
    const value = readInfer(bytes, reading.form, reading.textBytes, MAX_TENSOR_VALUES);
    return { value, transfer: buffersOf(value.tensors) };
  }
  const { signature, names, joinsRows } = reading.form;
  const rows = createRowDecoder(signature, names, joinsRows);
  if (reading.as === 'vertex') {
    const value = readVertexBody(bytes, rows, MAX_TENSOR_VALUES);
    return { value, transfer: buffersOf(tensorsOfVertex(value)) };
  }
  const json = readJson(bytes, 0, bytes.length, MAX_TENSOR_VALUES, reading.as === 'tensorflow');
  if (reading.as === 'tensorflow') {
    const value = readTensorFlowBody(json, rows);
    return { value, transfer: buffersOf(value.form === 'row' ? tensorsOf(value.instances) : value.tensors) };
  }
  const value = readPredictBody(json, { rows });
  return { value, transfer: buffersOf(value.tensors) };
}

const tensorsOf = ({ groups }: Instances) => groups.flatMap(({ feeds }) => feeds.tensors);

function tensorsOfVertex(body: VertexBody): readonly (Tensor | undefined)[] {
  if (body.form === 'instances') return tensorsOf(body.instances);
  return body.form === 'infer' ? body.request.tensors : body.feeds.tensors;
}

/** The buffers of the tensors, each once: several tensors may be views of one body. */
function buffersOf(tensors: readonly (Tensor | undefined)[]): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const tensor of tensors) {
    if (tensor !== undefined && !Array.isArray(tensor.data)) buffers.add(tensor.data.buffer as ArrayBuffer);
  }
  return [...buffers];
}

function collectBuffers(value: JsonValue, into: ArrayBuffer[]): void {
  if (value instanceof Float64Array) into.push(value.buffer as ArrayBuffer);
  else if (Array.isArray(value)) for (const inner of value) collectBuffers(inner, into);
  else if (typeof value === 'object' && value !== null) for (const key in value) collectBuffers(value[key]!, into);
}
