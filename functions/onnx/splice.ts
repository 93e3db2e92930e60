import type { Bytes } from './wire.ts';

/** Puts `content` in the place of the bytes from `start` to `to` (exclusive). */
export interface Edit {
  readonly start: number;
  readonly to: number;
  readonly content: Uint8Array;
}

/** A stretch of a file that stays, or bytes. */
type Piece = Uint8Array | { readonly from: number; readonly to: number };

/** The bytes of a message with edits inside one of its parts. */
export interface Splice {
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

/** What lies from `from` to `to`, edited. The edits do not overlap. */
export function splice(from: number, to: number, edits: readonly Edit[]): Splice {
  const pieces: Piece[] = [];
  let at = from;
  for (const { start, to: end, content } of edits.toSorted((a, b) => a.start - b.start)) {
    pieces.push({ from: at, to: start }, content);
    at = end;
  }
  pieces.push({ from: at, to });
  return { pieces, bytes: pieces.reduce((sum, piece) => sum + sizeOf(piece), 0) };
}

/** Reads what stays straight to its place: nothing of a large file is there twice. */
export function assemble(source: Bytes, splices: readonly Splice[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(splices.reduce((sum, { bytes }) => sum + bytes, 0));
  let at = 0;
  for (const piece of splices.flatMap(({ pieces }) => pieces)) {
    if (piece instanceof Uint8Array) whole.set(piece, at);
    else source.copy(piece.from, piece.to, whole, at);
    at += sizeOf(piece);
  }
  return whole;
}

function sizeOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.to - piece.from;
}

/** Bytes that no file had before. */
export function fresh(content: Uint8Array): Splice {
  return { pieces: [content], bytes: content.length };
}

/** A varint field. */
export function numberField(number: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8), ...varint(value)]);
}

/** A length-delimited field: text, or the fields of a message. */
export function field(number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([header(number, content.length), content]);
}

/** The tag and the length that come before the content of a length-delimited field. */
export function header(number: number, length: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(length)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
