import { createHash } from 'node:crypto';
import { crc32c } from '../crc32c.ts';
import type { Entry } from '../source.ts';

/** Bytes of an entry in one value: a slow network transfers several in a second, and a large model needs few requests. */
export const CHUNK_BYTES = 4 * 2 ** 20;
/** A value starts with a magic number, the length of the bytes and their CRC32C, each a big-endian u32. The bytes follow. */
export const HEADER_BYTES = 12;

/** "ocr1" */
const MAGIC = 0x6f637231;

/** The start of the keys of an entry's chunks. It is the same only for the same content of the same path. */
export function entryKey(root: string, { path, stamp, bytes }: Entry): string {
  const hash = createHash('sha256').update([root, path, stamp, bytes, CHUNK_BYTES].join('\0'));
  // In a cluster the text in braces decides the slot, so that all chunks of an entry are in one.
  return `onnx-cloud-run:{${hash.digest('hex').slice(0, 40)}}`;
}

/** The key of a chunk. @param entry the result of {@link entryKey} @param index the chunk's number, from 0 */
export function chunkKey(entry: string, index: number): string {
  return `${entry}:${index}`;
}

/** How many bytes chunk `index` of an entry has. */
export function chunkLength(entry: Entry, index: number): number {
  return Math.min(CHUNK_BYTES, entry.bytes - index * CHUNK_BYTES);
}

/** Memory for a value: room for the header, and for `length` bytes after it. */
export function allocateChunk(length: number): Buffer {
  return Buffer.allocUnsafe(HEADER_BYTES + length);
}

/** Writes the header of a value whose bytes are complete. */
export function sealChunk(key: string, value: Buffer): void {
  value.writeUInt32BE(MAGIC, 0);
  value.writeUInt32BE(value.length - HEADER_BYTES, 4);
  value.writeUInt32BE(checksum(key, value), 8);
}

/**
 * The bytes of a value that was sealed for this key, as a view of the value; undefined for any other value: truncated, changed by
 * a bit, of another chunk, or not a string.
 */
export function openChunk(key: string, value: unknown, length: number): Buffer | undefined {
  if (!Buffer.isBuffer(value) || value.length !== HEADER_BYTES + length) return undefined;
  if (value.readUInt32BE(0) !== MAGIC || value.readUInt32BE(4) !== length) return undefined;
  return value.readUInt32BE(8) === checksum(key, value) ? value.subarray(HEADER_BYTES) : undefined;
}

/** The checksum of key and bytes, so that a valid value under the key of another chunk is recognized. */
function checksum(key: string, value: Buffer): number {
  return crc32c(value.subarray(HEADER_BYTES), crc32c(Buffer.from(key)));
}
