import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ServingError } from '../../errors.ts';
import { DATA_LOCATION, DATA_TYPES, type DataTypeName, ELEMENT_BITS } from '../data-type.ts';
import type { TensorProto } from '../proto/onnx_pb.ts';
import type { EditableModel } from './open-model.ts';
import { listedElements } from './tensor-lists.ts';

/** Elements that are made while the model is written, so that they are never in memory as a whole. */
export interface DataProducer {
  /** Of all chunks together. */
  readonly bytes: number;
  /** The elements as `raw_data` has them. Called once for each write. A chunk may be reused after the next was asked for. */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A multiple of every element's size, so that no chunk ends within an element. */
const CHUNK_BYTES = 2 ** 20;

/** Kept beside the messages, which hold bytes alone. */
const PRODUCERS = new WeakMap<TensorProto, DataProducer>();

/** Whether its elements can be read as bytes: all but strings, and types that this version of onnx.proto does not have. */
export function hasRawElements({ dataType }: TensorProto): boolean {
  return ELEMENT_BITS.has(dataType);
}

/**
 * The bytes of a tensor's elements as `raw_data`: little-endian, without padding; of types below a byte, two or more elements share one.
 * @throws RangeError for a tensor without raw elements, see {@link hasRawElements}
 */
export function bytesOfTensor({ name, dataType, dims }: Pick<TensorProto, 'name' | 'dataType' | 'dims'>): number {
  const bits = ELEMENT_BITS.get(dataType);
  if (bits === undefined) throw new RangeError(`tensor ${name}: elements of type ${dataType} have no fixed size`);
  return Math.ceil((dims.reduce((count, size) => count * Math.max(0, Number(size)), 1) * bits) / 8);
}

/**
 * Reads the elements of a tensor, wherever the model has them: in its own file, in external data, in the message, in a list, or from a
 * producer.
 * @returns a copy, as {@link bytesOfTensor} has them; its buffer begins with the first element, so that a typed array can view it
 * @throws RangeError for strings; ServingError `MODEL_FAILED` if there are fewer bytes than the shape has elements for
 */
export async function readTensor(model: EditableModel, tensor: TensorProto): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(bytesOfTensor(tensor));
  let at = 0;
  for await (const chunk of readChunks(model, tensor)) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/**
 * As {@link readTensor}, in parts of at most 1 MiB that end between elements. The buffer of a part is used again for the next.
 * @param range the bytes to read, for one part of a tensor (default: all)
 */
export async function* readChunks(
  model: EditableModel,
  tensor: TensorProto,
  range = { from: 0, to: bytesOfTensor(tensor) },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const producer = PRODUCERS.get(tensor);
  if (producer === undefined && isExternal(tensor)) return yield* readRange(model, tensor, range);
  const inMessage = (): Uint8Array => (Object.hasOwn(tensor, 'rawData') ? tensor.rawData : listedElements(tensor));
  const read = yield* slices(producer?.chunks() ?? [inMessage()], range);
  if (read >= range.to) return;
  const expected = `${range.to} bytes for [${tensor.dims}], type ${tensor.dataType}`;
  throw new ServingError('MODEL_FAILED', `${model.path}: tensor ${tensor.name}: expected ${expected}, got ${read}`);
}

/** Whether the elements are not in the message: in a file, or made by a producer. */
export function isOutside(tensor: TensorProto): boolean {
  return PRODUCERS.has(tensor) || isExternal(tensor);
}

/** Replaces the elements of a tensor, and its type and shape where they are given. The name and unknown fields stay. */
export interface NewElements {
  readonly dtype?: DataTypeName;
  readonly dims?: readonly number[];
  /** Elements as `raw_data` has them, which are not copied; see {@link bytesOfTensor}. */
  readonly data: Uint8Array | DataProducer;
}

/**
 * Replaces the elements of a tensor.
 * @throws RangeError if the bytes do not fit type and shape
 */
export function setTensor(tensor: TensorProto, { dtype, dims, data }: NewElements): void {
  const { name } = tensor;
  const next = {
    name,
    dataType: dtype === undefined ? tensor.dataType : DATA_TYPES[dtype],
    dims: dims?.map(BigInt) ?? tensor.dims,
  };
  const [bytes, expected] = [data instanceof Uint8Array ? data.length : data.bytes, bytesOfTensor(next)];
  if (bytes !== expected) {
    const shape = `type ${next.dataType}, [${next.dims}]`;
    throw new RangeError(`tensor ${name}: expected ${expected} bytes for ${shape}, got ${bytes}`);
  }
  clearElements(tensor);
  Object.assign(tensor, next);
  if (data instanceof Uint8Array) tensor.rawData = data as Uint8Array<ArrayBuffer>;
  else PRODUCERS.set(tensor, data);
}

/** The fields of TensorProto that hold elements and are unknown to the messages: float_data, int32_data, double_data, uint64_data. */
const LIST_FIELDS: ReadonlySet<number> = new Set([4, 5, 10, 11]);

/** Removes the elements and where they are; type, shape and name stay. */
export function clearElements(tensor: TensorProto): void {
  PRODUCERS.delete(tensor);
  Reflect.deleteProperty(tensor, 'rawData');
  Reflect.deleteProperty(tensor, 'dataLocation');
  tensor.int64Data = [];
  tensor.stringData = [];
  tensor.externalData = [];
  if (tensor.$unknown !== undefined) tensor.$unknown = tensor.$unknown.filter(({ no }) => !LIST_FIELDS.has(no));
}

export function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === DATA_LOCATION.external;
}

/** The place of external data: its file, relative to the model's folder, and the first byte. */
export function placeOf({ externalData }: TensorProto): { location: string; offset: number } {
  const entries = new Map(externalData.map(({ key, value }) => [key, value]));
  return { location: entries.get('location') ?? '', offset: Number(entries.get('offset') ?? 0) };
}

async function* readRange(
  { path }: EditableModel,
  tensor: TensorProto,
  { from, to }: { from: number; to: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, undefined> {
  const { location, offset } = placeOf(tensor);
  const file = await open(join(dirname(path), location));
  try {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, to - from));
    for (let at = from; at < to; ) {
      const wanted = Math.min(buffer.length, to - at);
      for (let done = 0; done < wanted; ) {
        const { bytesRead } = await file.read(buffer, done, wanted - done, offset + at + done);
        if (bytesRead === 0) throw tooShort(path, tensor, location, offset + bytesOfTensor(tensor));
        done += bytesRead;
      }
      yield buffer.subarray(0, wanted);
      at += wanted;
    }
  } finally {
    await file.close();
  }
}

function tooShort(path: string, { name }: TensorProto, location: string, end: number): ServingError {
  const file = location === basename(path) ? 'the file' : `its external data ${location}`;
  return new ServingError('MODEL_FAILED', `${path}: ${file} ends before byte ${end}, where the tensor ${name} ends`);
}

/** Cuts chunks of any size to the range, in parts that begin at an aligned address. @returns the bytes of the chunks */
async function* slices(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { from, to }: { from: number; to: number },
): AsyncGenerator<Uint8Array<ArrayBuffer>, number, undefined> {
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, to - from));
  let filled = 0;
  let at = 0;
  for await (const chunk of chunks) {
    const end = Math.min(chunk.length, to - at);
    for (let next = Math.max(0, from - at); next < end; ) {
      const part = chunk.subarray(next, Math.min(end, next + buffer.length - filled));
      buffer.set(part, filled);
      filled += part.length;
      next += part.length;
      if (filled === buffer.length) {
        yield buffer;
        filled = 0;
      }
    }
    at += chunk.length;
  }
  if (filled > 0) yield buffer.subarray(0, filled);
  return at;
}
