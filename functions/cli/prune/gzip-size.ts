import { createReadStream, statSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

interface GzipOptions {
  /** Called with the bytes that were compressed, and those of all files. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** The bytes that some files have together when gzip compresses each, at its default level. Nothing is written. */
export async function gzipSize(paths: readonly string[], { onProgress, signal }: GzipOptions = {}): Promise<number> {
  const total = paths.reduce((sum, path) => sum + statSync(path).size, 0);
  let [done, compressed] = [0, 0];
  for (const path of paths) {
    const file = createReadStream(path, { highWaterMark: 2 ** 20 });
    file.on('data', ({ length }) => {
      done += length;
      onProgress?.(done, total);
    });
    const counter = new Writable({
      write(chunk: Buffer, _, next) {
        compressed += chunk.length;
        next();
      },
    });
    await pipeline(file, createGzip(), counter, { ...(signal && { signal }) });
  }
  return compressed;
}
