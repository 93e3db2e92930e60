import { createHash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ServingError } from '../../errors.ts';
import { combineCrc32c } from '../sources/crc32c.ts';
import { type Entry, type Source, SourceError } from '../sources/source.ts';
import { checkRoom } from './disk.ts';
import { createPartWriter } from './part-writer.ts';
import { type RetryOptions, retrying } from './retry.ts';

/** The limits of a download, and the functions that report its progress. */
export interface DownloadOptions {
  readonly signal: AbortSignal;
  /** Called with the number of bytes of each chunk; a negative number for bytes that must be read again. */
  readonly onBytes: (bytes: number) => void;
  readonly onRetry: (error: SourceError, waitMs: number) => void;
  readonly retry?: Partial<RetryOptions>;
  /** The most bytes that the file may have uncompressed. */
  readonly maxBytes?: number | undefined;
}

/** How many ranges of one object are read at once: one connection to Cloud Storage does not fill a fast network. */
const PARALLEL = 4;
/** Parts start at multiples of 4 MiB, as the chunks of the cache do. */
const PART_UNIT = 4 * 2 ** 20;
const SMALLEST_PART = 16 * 2 ** 20;
/** Larger parts would leave fast connections without work while a slow one finishes. */
const LARGEST_PART = 64 * 2 ** 20;
/** A connection that breaks after fewer bytes counts as a failure: otherwise one byte a connection would go on for ever. */
const LEAST_PROGRESS = 256 * 2 ** 10;
/** How often an object is read completely if its checksum is wrong. */
const ATTEMPTS = 3;

/**
 * Downloads one entry to `path`: in parallel ranges, each resumed after a break, and never completely in memory. The file gets its
 * name only after its size and checksum are checked. It is not synced: the folder belongs to this process, and nothing reads it
 * after a crash.
 * @throws SourceError of the source when all attempts have failed; ServingError `MODEL_FAILED` if the bytes are not those that were
 * listed, or do not fit the disk
 */
export async function download(source: Source, entry: Entry, path: string, options: DownloadOptions): Promise<void> {
  await checkRoom(dirname(path), entry.bytes, `${source.root}: ${entry.path}`);
  const part = `${path}.part`;
  try {
    for (let attempt = 1; ; attempt++) {
      const checksum = await readParts(source, entry, part, options);
      const wrong = await findMismatch(source, entry, part, checksum);
      if (wrong === undefined) break;
      if (attempt === ATTEMPTS) {
        const message = `${source.root}: ${entry.path} did not arrive as it was uploaded, ${ATTEMPTS} times over: ${wrong}`;
        throw new ServingError('MODEL_FAILED', message);
      }
      options.onBytes(-entry.bytes);
      options.onRetry(new SourceError('transient', `${entry.path}: ${wrong}; reading it again`), 0);
    }
    if (entry.gzip) await inflate(source, entry, part, options);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw explain(error, entry, dirname(path));
  }
}

/** Reads all parts of an entry to a file. @returns the CRC32C of the entry */
async function readParts(source: Source, entry: Entry, path: string, options: DownloadOptions): Promise<number> {
  const fd = openSync(path, 'w', 0o600);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const parts: { start: number; end: number; crc: number }[] = [];
  const length = partLength(entry.bytes);
  for (let start = 0; start < entry.bytes; start += length) {
    parts.push({ start, end: Math.min(entry.bytes, start + length), crc: 0 });
  }
  let next = 0;

  async function readPart(one: (typeof parts)[number]): Promise<void> {
    const writer = createPartWriter(fd, one.start);
    let at = one.start;
    function onChunk(chunk: Uint8Array): void {
      writer.append(chunk);
      at += chunk.length;
      options.onBytes(chunk.length);
    }
    try {
      while (at < one.end) await readOn();
    } finally {
      writer.flush();
    }
    one.crc = writer.crc32c();

    async function readOn(): Promise<void> {
      await retrying(
        async () => {
          const before = at;
          try {
            await source.read(entry, at, one.end, onChunk, signal);
          } catch (error) {
            const broke = error instanceof SourceError && error.fault === 'transient';
            // A read that makes progress does not count as a failure: it resumes at once, and attempts are counted from 1 again.
            if (!broke || at - before < LEAST_PROGRESS) throw error;
            options.onRetry(error, 0);
          }
        },
        { ...options.retry, signal, onRetry: options.onRetry },
      );
    }
  }

  async function readInTurn(): Promise<void> {
    try {
      for (let one = parts[next++]; one !== undefined; one = parts[next++]) await readPart(one);
    } catch (error) {
      stop.abort(error);
    }
  }

  try {
    // The first failure stops the others. The file is closed when all have stopped.
    await Promise.all(Array.from({ length: PARALLEL }, readInTurn));
    stop.signal.throwIfAborted();
  } finally {
    closeSync(fd);
  }
  return parts.reduce((crc, { start, end, crc: own }) => combineCrc32c(crc, own, end - start), 0);
}

/** One part for each connection, within the limits: each part is a request, and waits for its response. */
function partLength(bytes: number): number {
  const equal = Math.ceil(bytes / PARALLEL / PART_UNIT) * PART_UNIT;
  return Math.min(LARGEST_PART, Math.max(SMALLEST_PART, equal));
}

/** Why the bytes are not those that were uploaded; undefined if the checksums match. */
async function findMismatch(source: Source, entry: Entry, path: string, checksum: number): Promise<string | undefined> {
  if (entry.crc32c !== undefined && checksum !== entry.crc32c) {
    return `its CRC32C is ${hex(checksum)}, that of the object is ${hex(entry.crc32c)}`;
  }
  if (!source.shared || entry.md5 === undefined) return undefined;
  const md5 = await hashFile(path, 'md5');
  return md5 === entry.md5 ? undefined : `its MD5 is ${md5}, that of the object is ${entry.md5}`;
}

/** The hash of a file, in hex. */
export async function hashFile(path: string, algorithm: 'md5' | 'sha256'): Promise<string> {
  const hash = createHash(algorithm);
  const stream = createReadStream(path, { highWaterMark: 2 ** 20 });
  await pipeline(stream, hash);
  return hash.digest('hex');
}

/** Replaces a file by its uncompressed content, if the disk has room for it. */
async function inflate(source: Source, entry: Entry, path: string, options: DownloadOptions): Promise<void> {
  const { signal, maxBytes = Number.POSITIVE_INFINITY } = options;
  const plain = `${path}.plain`;
  const place = `${source.root}: ${entry.path}`;
  let written = 0;
  let checkedTo = 0;
  const bounded = new Transform({
    transform(chunk: Buffer, _, done) {
      written += chunk.length;
      if (written > maxBytes) {
        const message = `${place} has more than ${maxBytes} bytes once it is unpacked, and may have ${maxBytes}`;
        done(new ServingError('MODEL_FAILED', message));
        return;
      }
      if (written <= checkedTo) {
        done(null, chunk);
        return;
      }
      const step = 64 * 2 ** 20;
      checkedTo = written + step;
      checkRoom(dirname(path), step, `${place} (unpacked)`).then(() => done(null, chunk), done);
    },
  });
  try {
    await pipeline(createReadStream(path), createGunzip(), bounded, createWriteStream(plain, { mode: 0o600 }), {
      signal,
    });
    await rename(plain, path);
  } catch (cause) {
    await rm(plain, { force: true });
    if (!String((cause as NodeJS.ErrnoException).code).startsWith('Z_')) throw cause;
    const message = `${place}: its Content-Encoding says gzip, but it does not unpack: ${(cause as Error).message}`;
    throw new ServingError('MODEL_FAILED', message, { cause });
  }
}

function explain(error: unknown, entry: Entry, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new ServingError('MODEL_FAILED', `no room for ${entry.path} (${entry.bytes} bytes) on the disk of ${folder}`, {
    cause: error,
  });
}

const hex = (crc: number): string => crc.toString(16).padStart(8, '0');
