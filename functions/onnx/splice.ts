import type { Bytes } from './wire.ts';

/** Replaces the bytes from `start` to `to` (exclusive) by `content`. */
export interface Edit {
  readonly start: number;
  readonly to: number;
  readonly content: Uint8Array | Splice;
}

/** New bytes, or a range of the file that stays. */
type Piece = Uint8Array | { readonly from: number; readonly to: number };

/** A part of the new file, and its length in bytes. */
export interface Splice {
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

/** The bytes of a file from `from` to `to` (exclusive) with edits, which must not overlap. Nothing is read yet. */
export function splice(from: number, to: number, edits: readonly Edit[]): Splice {
  const pieces: Piece[] = [];
  let at = from;
  for (const { start, to: end, content } of edits.toSorted((a, b) => a.start - b.start)) {
    pieces.push({ from: at, to: start });
    // One by one: a call takes some hundred thousand arguments at most.
    if (content instanceof Uint8Array) pieces.push(content);
    else for (const piece of content.pieces) pieces.push(piece);
    at = end;
  }
  pieces.push({ from: at, to });
  return { pieces, bytes: pieces.reduce((sum, piece) => sum + sizeOf(piece), 0) };
}

/** Joins the parts. It reads ranges of the file directly to their place, so that no part of a large file is in memory twice. */
export function assemble(source: Bytes, splices: readonly Splice[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(splices.reduce((sum, { bytes }) => sum + bytes, 0));
  let at = 0;
  for (const piece of splices.flatMap(({ pieces }) => pieces)) {
    if (piece instanceof Uint8Array) joined.set(piece, at);
    else source.copy(piece.from, piece.to, joined, at);
    at += sizeOf(piece);
  }
  return joined;
}

function sizeOf(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.to - piece.from;
}

/** A part of new bytes. */
export function fresh(content: Uint8Array): Splice {
  return { pieces: [content], bytes: content.length };
}

/** The bytes of a varint field of protobuf. @param value an integer from 0 on */
export function numberField(number: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8), ...varint(value)]);
}

/** The bytes of a length-delimited field of protobuf. @param parts its content: text, or the fields of a message */
export function field(number: number, ...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([header(number, content.length), content]);
}

/** The tag and the length before the content of a length-delimited field. */
export function header(number: number, length: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(length)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
