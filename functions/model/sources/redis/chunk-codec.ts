import { createHash } from 'node:crypto';
import { crc32c } from '../crc32c.ts';
import type { Entry } from '../source.ts';

/** Bytes of an entry in one value: a second on a slow network moves several, and a fast bucket is asked few times. */
export const CHUNK_BYTES = 4 * 2 ** 20;
/** Magic, length of the bytes, their CRC-32C: each of 4 bytes, big-endian. The bytes follow. */
export const HEADER_BYTES = 12;

/** "ocr1" */
const MAGIC = 0x6f637231;

/** What the keys of an entry's chunks begin with: of the same content in the same place, and of nothing else. */
export function entryKey(root: string, { path, stamp, bytes }: Entry): string {
  const hash = createHash('sha256').update([root, path, stamp, bytes, CHUNK_BYTES].join('\0'));
  // What is in braces decides the slot in a cluster: all chunks of an entry are in one.
  return `onnx-cloud-run:{${hash.digest('hex').slice(0, 40)}}`;
}

/** @param entry as {@link entryKey} gives it. @param index the chunk's number, from 0. */
export function chunkKey(entry: string, index: number): string {
  return `${entry}:${index}`;
}

/** How many bytes chunk `index` of an entry has. */
export function chunkLength(entry: Entry, index: number): number {
  return Math.min(CHUNK_BYTES, entry.bytes - index * CHUNK_BYTES);
}

/** Room for a value: the header, not yet written, and `length` bytes after it. */
export function allocateChunk(length: number): Buffer {
  return Buffer.allocUnsafe(HEADER_BYTES + length);
}

/** Writes the header for the bytes that follow it. */
export function sealChunk(key: string, value: Buffer): void {
  value.writeUInt32BE(MAGIC, 0);
  value.writeUInt32BE(value.length - HEADER_BYTES, 4);
  value.writeUInt32BE(checksum(key, value), 8);
}

/**
 * The bytes of a value that was sealed for this key, in the value's own memory; undefined where it is anything else: cut,
 * changed by a bit, of another chunk, no string at all.
 */
export function openChunk(key: string, value: unknown, length: number): Buffer | undefined {
  if (!Buffer.isBuffer(value) || value.length !== HEADER_BYTES + length) return undefined;
  if (value.readUInt32BE(0) !== MAGIC || value.readUInt32BE(4) !== length) return undefined;
  return value.readUInt32BE(8) === checksum(key, value) ? value.subarray(HEADER_BYTES) : undefined;
}

/** Over the key too: a sound value under another chunk's key is not that chunk. */
function checksum(key: string, value: Buffer): number {
  return crc32c(value.subarray(HEADER_BYTES), crc32c(Buffer.from(key)));
}
