import { write, writeSync } from 'node:fs';
import { crc32c } from '../sources/crc32c.ts';

/** Writes one range of a file, in order. */
interface PartWriter {
  /** Appends bytes; the caller may reuse their memory after the call. @throws the error of an earlier write. */
  append(chunk: Uint8Array): void;
  /** Settles when all appended bytes are written. @throws the error of a write. */
  flush(): Promise<void>;
  /** The CRC32C of all flushed bytes. */
  crc32c(): number;
}

/** Small enough to stay in a processor's cache between the network and the disk. */
const SLAB = 512 * 1024;
const SLABS = 3;

/**
 * Collects bytes in slabs, which a thread writes while the next ones are collected. If the disk is slower than the network, and
 * every slab is being written, the calling thread writes itself, so that the memory is bounded.
 * @param start the position in the file at which the range starts
 */
export function createPartWriter(fd: number, start: number): PartWriter {
  const free = Array.from({ length: SLABS - 1 }, () => Buffer.allocUnsafeSlow(SLAB));
  const writing = new Set<Promise<void>>();
  let slab = Buffer.allocUnsafeSlow(SLAB);
  let filled = 0;
  let at = start;
  let crc = 0;
  let failure: unknown;

  function writeSlab(): void {
    const [full, length, position] = [slab, filled, at];
    if (length === 0) return;
    crc = crc32c(full.subarray(0, length), crc);
    at += length;
    filled = 0;
    const next = free.pop();
    if (next === undefined) {
      for (let done = 0; done < length; ) done += writeSync(fd, full, done, length - done, position + done);
      return;
    }
    slab = next;
    const written = writeAll(fd, full, length, position)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        free.push(full);
        writing.delete(written);
      });
    writing.add(written);
  }

  return {
    append(chunk) {
      if (failure !== undefined) throw failure;
      for (let from = 0; from < chunk.length; ) {
        const length = Math.min(SLAB - filled, chunk.length - from);
        slab.set(chunk.subarray(from, from + length), filled);
        filled += length;
        from += length;
        if (filled === SLAB) writeSlab();
      }
    },
    async flush() {
      writeSlab();
      await Promise.all(writing);
      if (failure !== undefined) throw failure;
    },
    crc32c: () => crc,
  };
}

async function writeAll(fd: number, bytes: Buffer, length: number, position: number): Promise<void> {
  for (let done = 0; done < length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, done, length - done, position + done, (error, written) =>
        error ? reject(error) : resolve(written),
      );
    });
  }
}
