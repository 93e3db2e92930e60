/** The thread that parses large bodies. */
import { parentPort } from 'node:worker_threads';
import { type JsonValue, readJson } from '../engine/json-reader.ts';
import { ServingError } from '../errors.ts';
import type { Parsed } from './json-body.ts';

const port = parentPort!;

port.on('message', ({ id, bytes }: { id: number; bytes: Uint8Array }) => {
  try {
    const value = readJson(bytes);
    const transfer: ArrayBuffer[] = [];
    collectBuffers(value, transfer);
    port.postMessage({ id, value } satisfies Parsed, transfer);
  } catch (error) {
    const { code, message, path } =
      error instanceof ServingError ? error : new ServingError('INTERNAL', String(error), { cause: error });
    port.postMessage({ id, error: { code, message, path } } satisfies Parsed);
  }
});

function collectBuffers(value: JsonValue, into: ArrayBuffer[]): void {
  if (value instanceof Float64Array) into.push(value.buffer as ArrayBuffer);
  else if (Array.isArray(value)) for (const inner of value) collectBuffers(inner, into);
  else if (typeof value === 'object' && value !== null) for (const key in value) collectBuffers(value[key]!, into);
}
