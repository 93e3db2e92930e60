import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The bytes of a file, read when they are used. Positions count from 0. Reads throw WireError if the file became shorter. */
export interface Bytes {
  readonly size: number;
  byte(at: number): number;
  /** A copy of `from` to `to` (exclusive). */
  read(from: number, to: number): Uint8Array<ArrayBuffer>;
  /** The UTF-8 text from `from` to `to` (exclusive). */
  text(from: number, to: number): string;
  /** Fills `target` from `at` on with `from` to `to` (exclusive). */
  copy(from: number, to: number, target: Uint8Array, at: number): void;
  close(): void;
}

/** A field of a protobuf message, by its positions in the file. The content of a number is its bytes. */
export interface Field {
  readonly number: number;
  /** 0: varint, 1: 8 bytes, 2: a length and as many bytes, 5: 4 bytes. */
  readonly wire: number;
  /** The start of the tag. */
  readonly start: number;
  /** The start of the content. */
  readonly from: number;
  /** The end of the content (exclusive). */
  readonly to: number;
}

/** The bytes are not valid protobuf. */
export class WireError extends Error {
  /** The end of the field that does not fit into its message; undefined for another fault. */
  readonly end: number | undefined;

  constructor(message: string, end?: number) {
    super(message);
    this.name = 'WireError';
    this.end = end;
  }
}

/** Tags and names are read and weights are skipped, so that most bytes of a larger window would not be used. */
const WINDOW_BYTES = 16_384;
const MAX_VARINT_BYTES = 10;
/** The bytes of a varint that a number represents exactly: 49 bits. */
const MAX_EXACT_BYTES = 7;
/** The levels of nested messages that protobuf's own libraries accept. */
const MAX_DEPTH = 100;

/** Opens a file for synchronous reads, which block the process. @throws the error of `openSync` */
export function openBytes(path: string): Bytes {
  const file = openSync(path, 'r');
  const { size } = fstatSync(file);
  const window = Buffer.alloc(WINDOW_BYTES);
  let from = 0;
  let to = 0;

  function copy(start: number, end: number, target: Uint8Array, at: number): void {
    for (let done = 0; done < end - start; ) {
      const count = readSync(file, target, at + done, end - start - done, start + done);
      if (count === 0) throw new WireError(`the file ends at byte ${start + done}: it was longer when it was opened`);
      done += count;
    }
  }

  function moveWindow(at: number): void {
    to = from = at;
    const end = Math.min(size, at + WINDOW_BYTES);
    copy(at, end, window, 0);
    to = end;
  }

  /** Moves the window to a short range that is outside of it: system calls for each name would take most of the time. */
  function isInWindow(start: number, end: number): boolean {
    if ((start < from || end > to) && end - start < WINDOW_BYTES / 2 && end <= size) moveWindow(start);
    return start >= from && end <= to;
  }

  function read(start: number, end: number): Uint8Array<ArrayBuffer> {
    const content = new Uint8Array(end - start);
    if (isInWindow(start, end)) content.set(window.subarray(start - from, end - from));
    else copy(start, end, content, 0);
    return content;
  }

  return {
    size,
    byte(at) {
      if (at < from || at >= to) moveWindow(at);
      return window[at - from]!;
    },
    read,
    text(start, end) {
      return isInWindow(start, end)
        ? window.toString('utf8', start - from, end - from)
        : Buffer.from(read(start, end)).toString();
    },
    copy,
    close: () => closeSync(file),
  };
}

/**
 * The fields of the message from `from` to `to` (exclusive), in the order of the file. Their contents are not read. The format:
 * https://protobuf.dev/programming-guides/encoding/
 * @throws WireError if a field does not end within the message, and for a group, which ONNX does not use
 */
export function* fields(bytes: Bytes, from: number, to: number): Generator<Field, void, undefined> {
  let at = from;
  while (at < to) {
    const start = at;
    const tag = varint(bytes, start, to);
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (number === 0 || tag >= 2 ** 32) throw new WireError(`byte ${start}: no field has the tag ${tag}`);
    let content = varintEnd;
    if (wire === 0) {
      varint(bytes, content, to);
      at = varintEnd;
    } else if (wire === 1 || wire === 5) {
      at = content + (wire === 1 ? 8 : 4);
    } else if (wire === 2) {
      const length = varint(bytes, content, to);
      content = varintEnd;
      at = content + length;
    } else {
      throw new WireError(`byte ${start}: field ${number} has the wire type ${wire}, which ONNX does not use`);
    }
    if (at > to)
      throw new WireError(`byte ${start}: field ${number} ends at byte ${at}, its message at byte ${to}`, at);
    yield { number, wire, start, from: content, to: at };
  }
}

/** The depth of a message inside one of depth `depth`. @throws WireError beyond the 100 levels that protobuf accepts */
export function deeper(depth: number): number {
  if (depth >= MAX_DEPTH) throw new WireError(`more than ${MAX_DEPTH} nested messages`);
  return depth + 1;
}

/** The content of a length-delimited field as UTF-8 text. */
export function text(bytes: Bytes, { from, to }: Field): string {
  return bytes.text(from, to);
}

/** The text of the message's last field of a number, by protobuf's rule for a repeated singular field; '' without one. */
export function textOf(bytes: Bytes, { from, to }: Field, number: number): string {
  let found = '';
  for (const field of fields(bytes, from, to)) {
    if (field.number === number && field.wire === 2) found = text(bytes, field);
  }
  return found;
}

/** The signed 64-bit integer of a varint field. */
export function int64(bytes: Bytes, { from, to }: Field): bigint {
  return int64At(bytes, from, to);
}

/** The integers of a repeated int64 field, which may be a varint or a packed list. @throws WireError */
export function int64s(bytes: Bytes, field: Field): bigint[] {
  if (field.wire === 0) return [int64(bytes, field)];
  const values: bigint[] = [];
  for (let at = field.from; at < field.to; ) {
    varint(bytes, at, field.to);
    values.push(int64At(bytes, at, varintEnd));
    at = varintEnd;
  }
  return values;
}

function int64At(bytes: Bytes, from: number, to: number): bigint {
  if (to - from <= MAX_EXACT_BYTES) {
    let small = 0;
    for (let at = to - 1; at >= from; at--) small = small * 128 + (bytes.byte(at) & 0x7f);
    return BigInt(small);
  }
  let value = 0n;
  for (let at = to - 1; at >= from; at--) value = (value << 7n) | BigInt(bytes.byte(at) & 0x7f);
  return BigInt.asIntN(64, value);
}

/** The end of the last varint that was read. A variable, because returning a pair for each would be most of the allocations. */
let varintEnd = 0;

/**
 * An unsigned varint as a number: exact up to 2^53, which is beyond every valid tag and length. Sets `varintEnd`.
 */
function varint(bytes: Bytes, at: number, end: number): number {
  let value = 0;
  let unit = 1;
  for (let next = at; next < at + MAX_VARINT_BYTES; unit *= 128) {
    if (next >= end) throw new WireError(`byte ${at}: a number does not end within its message`, next + 1);
    const byte = bytes.byte(next++);
    value += (byte & 0x7f) * unit;
    if (byte < 0x80) {
      varintEnd = next;
      return value;
    }
  }
  throw new WireError(`byte ${at}: a number of more than ${MAX_VARINT_BYTES} bytes`);
}
