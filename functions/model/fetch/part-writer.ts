import { writeSync } from 'node:fs';
import { crc32c } from '../sources/crc32c.ts';

/** Writes one range of a file, in order. */
interface PartWriter {
  /** Appends bytes; the caller may reuse their memory after the call. @throws the error of a write */
  append(chunk: Uint8Array): void;
  /** Writes the appended bytes that are not written yet. @throws the error of a write */
  flush(): void;
  /** The CRC32C of all flushed bytes. */
  crc32c(): number;
}

/** The chunks of TLS have 16 KiB: a write of 128 KiB costs little more than one of them. */
const SLAB = 128 * 1024;

/**
 * Collects small chunks to writes of about 128 KiB; larger chunks are written without a copy. It writes synchronously: writes in
 * other threads wait for the processor and for the lock of the file, and took longer.
 * @param start the position in the file at which the range starts
 */
export function createPartWriter(fd: number, start: number): PartWriter {
  const slab = Buffer.allocUnsafeSlow(SLAB);
  let filled = 0;
  let at = start;
  let crc = 0;

  function write(bytes: Uint8Array): void {
    crc = crc32c(bytes, crc);
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
    at += bytes.length;
  }

  function flush(): void {
    write(slab.subarray(0, filled));
    filled = 0;
  }

  return {
    append(chunk) {
      if (chunk.length > SLAB - filled) flush();
      if (chunk.length >= SLAB) {
        write(chunk);
        return;
      }
      slab.set(chunk, filled);
      filled += chunk.length;
    },
    flush,
    crc32c: () => crc,
  };
}
