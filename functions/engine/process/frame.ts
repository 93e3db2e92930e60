import {
  DTYPES,
  type DType,
  elementCount,
  type NumericData,
  type Tensor,
  type TensorData,
} from '../../tensor/tensor.ts';

/**
 * The kinds of frames between the serving process and an engine process. Frames are little-endian. Every frame and every tensor's
 * data start at a multiple of 8 bytes, so that typed arrays are views of the bytes that were read, without a copy:
 *
 *     u32 bytes of the frame, header included | u32 kind | u32 id | u32 count
 *     count × ( u32 slot | u32 dtype | u32 rank | u32 data bytes | u32 × rank, padded | data, padded )
 *
 * `slot` is the tensor's index in the model's signature. A frame that carries JSON has its byte length as `count`.
 * A string tensor's data is, for each element, a u32 byte length and its UTF-8 bytes.
 */
export const KIND = { load: 1, loaded: 2, run: 3, result: 4, failure: 5 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];

/** Bytes of the four numbers with which a frame begins. */
export const HEADER_BYTES = 16;
const LARGEST_FRAME_BYTES = 2 ** 31;
const LEAST_FRAME_LIMIT = 64 * 2 ** 20;
/** The most bytes of a frame, in both processes: they have the same memory limit. */
export const MAX_FRAME_BYTES = frameLimit(process.constrainedMemory());
/** Data of at least this many bytes is written to the socket directly; smaller data is copied into the frame first. */
const COPY_BELOW = 16_384;

/** An input of a run, with the rows of several requests in the order of the run. */
export interface JoinedTensor {
  /** The index of the input in the signature. */
  readonly slot: number;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** The elements, row-major: together as many as `dims` has. */
  readonly parts: readonly TensorData[];
}

/** A tensor of a frame. `slot` is the index of its input or output in the signature. */
export interface SlottedTensor extends Tensor {
  readonly slot: number;
}

/** A frame as it was read: the numbers of its header, and its body. */
export interface Frame {
  readonly kind: number;
  /** The id of the exchange: a result has that of its order. */
  readonly id: number;
  /** How many tensors, or bytes of JSON, the body has. */
  readonly count: number;
  /** The bytes after the header. The receiver owns the memory. */
  readonly body: Buffer;
}

const DTYPE_NAMES = Object.keys(DTYPES) as DType[];
const DTYPE_CODES = new Map(DTYPE_NAMES.map((name, code) => [name, code]));

const pad8 = (bytes: number): number => bytes + (-bytes & 7);
const encoder = new TextEncoder();

/**
 * The most bytes of a frame: 2 GiB, which can be allocated as one buffer, and no more than half of the memory, because a frame is in
 * the memory of both processes. An engine process that announces more is killed, and nothing is allocated for it.
 * @param memoryBytes to which the process is limited; 0 or an enormous number without a limit.
 */
export function frameLimit(memoryBytes: number): number {
  const half = memoryBytes > 0 ? Math.floor(memoryBytes / 16) * 8 : LARGEST_FRAME_BYTES;
  return Math.min(LARGEST_FRAME_BYTES, Math.max(LEAST_FRAME_LIMIT, half));
}

/** A frame with a JSON value: a load order, its result, or a failure. */
export function encodeJson(kind: Kind, id: number, value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const frame = Buffer.alloc(HEADER_BYTES + pad8(json.length));
  writeHeader(frame, frame.length, kind, id, json.length);
  json.copy(frame, HEADER_BYTES);
  return frame;
}

/** The value of a frame that carries JSON. @throws SyntaxError if the body is not JSON */
export function decodeJson(frame: Frame): unknown {
  return JSON.parse(frame.body.toString('utf8', 0, frame.count));
}

/**
 * A frame that carries tensors, as chunks to write in their order: small data is copied into chunks of one buffer, large data is
 * a view of the tensors.
 * @throws RangeError for a frame of more than `MAX_FRAME_BYTES`.
 */
export function encodeTensors(kind: Kind, id: number, tensors: readonly JoinedTensor[]): Uint8Array[] {
  const data = tensors.map(numericParts);
  const sizes = data.map((parts) => parts.reduce((sum, part) => sum + part.byteLength, 0));
  let copied = HEADER_BYTES;
  let total = HEADER_BYTES;
  for (const [i, tensor] of tensors.entries()) {
    const head = 16 + pad8(tensor.dims.length * 4);
    const size = sizes[i]!;
    const padded = pad8(size);
    total += head + padded;
    copied += head + (size < COPY_BELOW ? padded : pad8(padded - size));
  }
  if (total > MAX_FRAME_BYTES) {
    throw new RangeError(`the tensors of a run take ${total} bytes, ${MAX_FRAME_BYTES} at most`);
  }
  const buffer = Buffer.allocUnsafeSlow(copied);
  writeHeader(buffer, total, kind, id, tensors.length);

  const chunks: Uint8Array[] = [];
  let from = 0;
  let at = HEADER_BYTES;
  for (const [i, tensor] of tensors.entries()) {
    const size = sizes[i]!;
    at = writeTensorHead(buffer, at, tensor, size);
    if (size < COPY_BELOW) {
      copyParts(buffer, at, size, tensor.dtype, data[i]!);
      buffer.fill(0, at + size, at + pad8(size));
      at += pad8(size);
    } else {
      chunks.push(buffer.subarray(from, at), ...data[i]!.map(bytesOf));
      // The padding takes the last bytes of 8 in this buffer, so that the data copied after it is aligned here as well.
      const padding = pad8(size) - size;
      at += pad8(padding);
      from = at - padding;
      buffer.fill(0, from, at);
    }
  }
  if (at > from) chunks.push(buffer.subarray(from, at));
  return chunks;
}

/**
 * The tensors of a frame, in the frame's order. Numeric data are views of the frame's memory.
 * @throws RangeError if the body is not as `KIND` describes it: nothing beyond the frame is read.
 */
export function decodeTensors(frame: Frame): SlottedTensor[] {
  const { body } = frame;
  const tensors: SlottedTensor[] = [];
  let at = 0;
  for (let i = 0; i < frame.count; i++) {
    const slot = body.readUInt32LE(at);
    const dtype = DTYPE_NAMES[body.readUInt32LE(at + 4)];
    const rank = body.readUInt32LE(at + 8);
    const size = body.readUInt32LE(at + 12);
    at += 16;
    const dims: number[] = [];
    for (let d = 0; d < rank; d++) dims.push(body.readUInt32LE(at + d * 4));
    at += pad8(rank * 4);
    if (dtype === undefined) throw new RangeError(`tensor ${i} has an unknown dtype`);
    const data =
      dtype === 'string'
        ? unpackTexts(body.subarray(at, at + size), elementCount(dims))
        : viewOf(dtype, body, at, size);
    if (data.length !== elementCount(dims)) {
      throw new RangeError(`tensor ${i} has ${data.length} elements for the shape [${dims}]`);
    }
    tensors.push({ slot, dtype, dims, data });
    at += pad8(size);
  }
  if (at !== body.length) throw new RangeError(`its ${frame.count} tensors take ${at} bytes of ${body.length}`);
  return tensors;
}

function writeHeader(frame: Buffer, bytes: number, kind: Kind, id: number, count: number): void {
  frame.writeUInt32LE(bytes, 0);
  frame.writeUInt32LE(kind, 4);
  frame.writeUInt32LE(id, 8);
  frame.writeUInt32LE(count, 12);
}

function writeTensorHead(buffer: Buffer, at: number, tensor: JoinedTensor, size: number): number {
  const rank = tensor.dims.length;
  buffer.writeUInt32LE(tensor.slot, at);
  buffer.writeUInt32LE(DTYPE_CODES.get(tensor.dtype)!, at + 4);
  buffer.writeUInt32LE(rank, at + 8);
  buffer.writeUInt32LE(size, at + 12);
  let to = at + 16;
  for (const dim of tensor.dims) to = buffer.writeUInt32LE(dim, to);
  if (rank % 2 === 1) to = buffer.writeUInt32LE(0, to);
  return to;
}

function numericParts({ dtype, parts }: JoinedTensor): readonly NumericData[] {
  return dtype === 'string' ? [packTexts(parts)] : (parts as readonly NumericData[]);
}

/** Copies through one view of the tensor's own type: a view of bytes for each part would cost more than the copy. */
function copyParts(buffer: Buffer, at: number, size: number, dtype: DType, parts: readonly NumericData[]): void {
  const { bytes, view } = DTYPES[dtype === 'string' ? 'uint8' : dtype];
  const target = view(buffer.buffer, buffer.byteOffset + at, size / bytes) as Float64Array;
  let offset = 0;
  for (const part of parts) {
    target.set(part as Float64Array, offset);
    offset += part.length;
  }
}

function bytesOf(data: NumericData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function viewOf(dtype: DType, body: Buffer, at: number, size: number): NumericData {
  const { bytes, view } = DTYPES[dtype];
  return view(body.buffer, body.byteOffset + at, size / bytes);
}

/**
 * Strings as bytes: for each a u32 with its length in bytes, little-endian, then its UTF-8. The format of frames, and of BYTES in
 * the Open Inference Protocol (Triton's extension for binary tensor data).
 */
export function packTexts(parts: readonly TensorData[]): Uint8Array {
  const texts = (parts as readonly string[][]).flat().map((text) => encoder.encode(text));
  const packed = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + 4 + text.length, 0));
  let at = 0;
  for (const text of texts) {
    at = packed.writeUInt32LE(text.length, at);
    packed.set(text, at);
    at += text.length;
  }
  return packed;
}

function unpackTexts(bytes: Buffer, count: number): string[] {
  const texts: string[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const length = bytes.readUInt32LE(at);
    at += 4;
    texts.push(bytes.toString('utf8', at, at + length));
    at += length;
  }
  if (at !== bytes.length) throw new RangeError(`${count} texts take ${at} bytes of ${bytes.length}`);
  return texts;
}
