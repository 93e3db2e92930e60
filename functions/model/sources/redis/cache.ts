import type { Entry, Source } from '../source.ts';
import {
  allocateChunk,
  CHUNK_BYTES,
  chunkKey,
  chunkLength,
  entryKey,
  HEADER_BYTES,
  openChunk,
  sealChunk,
} from './chunk-codec.ts';
import { createRedisConnection, loadClient, type RedisConnection } from './connection.ts';

/** An event of the cache, for metrics and the log. */
export type CacheEvent =
  /** A chunk came from Redis. */
  | { readonly kind: 'hit'; readonly bytes: number }
  /** Redis has no such chunk. */
  | { readonly kind: 'miss' }
  /** The value of a chunk's key is not that chunk. */
  | { readonly kind: 'garbage'; readonly key: string }
  | { readonly kind: 'stored'; readonly bytes: number }
  /**
   * A read, or the rest of one, was done without Redis. `unverifiable`: an object without MD5. `unavailable`: connecting to Redis
   * failed, or the circuit breaker is open.
   */
  | { readonly kind: 'skipped'; readonly why: 'small' | 'large' | 'unverifiable' | 'unavailable' }
  /** A failure that the circuit breaker counted. `reason` names host and port, never the password. */
  | { readonly kind: 'fault'; readonly reason: string };

interface ChunkCacheOptions {
  /** The time after which Redis removes a chunk. */
  readonly ttlSeconds: number;
  /** The size of the largest entry that is cached. */
  readonly maxBytes: number;
  readonly onEvent: (event: CacheEvent) => void;
  /** Milliseconds that lookup and storing may add to the read of a missing chunk before it counts as a failure. Default: 250. */
  readonly slowMs?: number;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** The server, the limits and the timeouts of a cache. */
export interface RedisCacheOptions extends ChunkCacheOptions {
  /** `redis://[user[:password]@]host[:port][/database]`; `rediss://` for TLS. */
  readonly url: string;
  /** PEM of the certificates to trust for `rediss://`. Default: Node's own. */
  readonly ca?: string;
  /** Milliseconds that connecting, and each command, may take. Default: 1000. */
  readonly commandMs?: number;
  /** Milliseconds for which Redis is not used after two failures within that time. Default: 30,000. */
  readonly openMs?: number;
}

/** Smaller entries are not cached: a read of the source takes no longer than one of Redis. */
const LEAST_BYTES = 64 * 1024;
/** The number of entries whose delivered ranges are remembered, far more than are downloaded at a time. */
const REMEMBERED_ENTRIES = 1_024;

/** Bytes `from` to `to` (exclusive) of an entry. */
interface Range {
  readonly from: number;
  to: number;
}

/** A range within one chunk. */
interface Part extends Readonly<Range> {
  readonly entry: Entry;
  readonly index: number;
  readonly key: string;
}

type OnChunk = (bytes: Uint8Array) => void;

/**
 * Puts Redis as a cache in front of another source: a chunk is read from Redis, or else from the source and stored. A failure of
 * Redis neither fails a read nor delays it for long: it is reported to `onEvent`, and the source is read.
 */
export function createRedisCache(source: Source, options: RedisCacheOptions): Source {
  const { url, ca, commandMs = 1_000, openMs = 30_000, onEvent, now = () => performance.now() } = options;
  const { address, password } = describeUrl(url);
  const connection = createRedisConnection({
    load: () => loadClient(url, ca, commandMs),
    address,
    commandMs,
    openMs,
    now,
    onFault: (reason) =>
      onEvent({ kind: 'fault', reason: password === '' ? reason : reason.replaceAll(password, '***') }),
  });
  return createChunkCache(source, connection, { ...options, now });
}

/** As {@link createRedisCache}, with a given connection. */
export function createChunkCache(source: Source, connection: RedisConnection, options: ChunkCacheOptions): Source {
  const { ttlSeconds, maxBytes, onEvent, slowMs = 250, now = () => performance.now() } = options;
  const deliveredRanges = createRangeMemory();

  async function read(entry: Entry, start: number, end: number, onChunk: OnChunk, signal: AbortSignal): Promise<void> {
    const why = whySkipped(entry, maxBytes);
    if (why !== undefined) {
      onEvent({ kind: 'skipped', why });
      return source.read(entry, start, end, onChunk, signal);
    }
    const key = entryKey(source.root, entry);
    const delivered = deliveredRanges(key);
    const own: Range = { from: start, to: start };
    delivered.push(own);
    const deliver: OnChunk = (bytes) => {
      own.to += bytes.length;
      onChunk(bytes);
    };
    for (let from = start; from < end; ) {
      signal.throwIfAborted();
      if (!(await unlessAborted(connection.connect(), signal))) {
        onEvent({ kind: 'skipped', why: 'unavailable' });
        return source.read(entry, from, end, deliver, signal);
      }
      const index = Math.floor(from / CHUNK_BYTES);
      const to = Math.min(end, (index + 1) * CHUNK_BYTES);
      // A byte is read a second time only if the checksum of the file was wrong, for which Redis may be the reason.
      const suspect = delivered.some((one) => one.from < to && from < one.to);
      await readPart({ entry, index, key: chunkKey(key, index), from, to }, suspect, deliver, signal);
      from = to;
    }
  }

  async function readPart(part: Part, suspect: boolean, onChunk: OnChunk, signal: AbortSignal): Promise<void> {
    const { entry, index, key, from, to } = part;
    const base = index * CHUNK_BYTES;
    const length = chunkLength(entry, index);
    const startedAt = now();
    const found = suspect ? 'garbage' : await unlessAborted(lookUp(key, length), signal);
    if (Buffer.isBuffer(found)) {
      onEvent({ kind: 'hit', bytes: to - from });
      onChunk(found.subarray(from - base, to - base));
      return;
    }
    const readAt = now();
    // If only a part of the chunk is needed, after an interrupted read, the rest of its bytes are not read in order to store it.
    const value = found !== undefined && to - from === length ? allocateChunk(length) : undefined;
    let at = HEADER_BYTES;
    const copy: OnChunk = (bytes) => {
      value?.set(bytes, at);
      at += bytes.length;
      onChunk(bytes);
    };
    await source.read(entry, from, to, copy, signal);
    const sourceMs = now() - readAt;
    if (value?.length === at) await unlessAborted(store(key, value), signal);
    const redisMs = now() - startedAt - sourceMs;
    if (redisMs <= Math.max(slowMs, sourceMs)) return;
    const message = `${Math.round(redisMs)} ms for a missing chunk that the source gives in ${Math.round(sourceMs)} ms`;
    connection.recordFailure(message, startedAt);
  }

  /** @returns the chunk's bytes; `garbage` if the key has another value; undefined if Redis did not reply. */
  async function lookUp(key: string, length: number): Promise<Buffer | 'miss' | 'garbage' | undefined> {
    // One byte more than the chunk has: enough to recognize a longer value, however long it is.
    const value = await connection.send(['GETRANGE', key, '0', String(HEADER_BYTES + length)]);
    if (value === undefined) return undefined;
    if (Buffer.isBuffer(value) && value.length === 0) {
      onEvent({ kind: 'miss' });
      return 'miss';
    }
    const bytes = openChunk(key, value, length);
    if (bytes === undefined) onEvent({ kind: 'garbage', key });
    return bytes ?? 'garbage';
  }

  /** @param value the chunk, with room for the header */
  async function store(key: string, value: Buffer): Promise<void> {
    sealChunk(key, value);
    const sentAt = now();
    const reply = await connection.send(['SET', key, value, 'EX', String(ttlSeconds)]);
    if (reply === 'OK') onEvent({ kind: 'stored', bytes: value.length - HEADER_BYTES });
    else if (reply !== undefined) connection.recordFailure('the reply to SET is not OK', sentAt);
  }

  return {
    root: source.root,
    // Another client of Redis can write chunks with the right checksums.
    shared: true,
    list: source.list,
    folders: source.folders,
    read,
    async close() {
      connection.close();
      await source.close();
    },
  };
}

/** Remembers the delivered ranges of the entries that were read last, by the key of the entry. */
function createRangeMemory(): (key: string) => Range[] {
  const known = new Map<string, Range[]>();
  return (key) => {
    const ranges = known.get(key) ?? [];
    known.delete(key);
    known.set(key, ranges);
    if (known.size > REMEMBERED_ENTRIES) known.delete(known.keys().next().value!);
    return ranges;
  };
}

/** Why an entry is not cached; undefined if it is. */
function whySkipped({ bytes, md5 }: Entry, maxBytes: number): 'small' | 'large' | 'unverifiable' | undefined {
  if (bytes < LEAST_BYTES) return 'small';
  if (bytes > maxBytes) return 'large';
  // Another client of Redis can write bytes with any CRC32C.
  return md5 === undefined ? 'unverifiable' : undefined;
}

/** Rejects as soon as the signal is aborted. The promise itself goes on; it has its own time limit. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** The address, which may be logged, and the password, which may not. */
function describeUrl(url: string): { address: string; password: string } {
  try {
    const { hostname, port, password } = new URL(url);
    return { address: `${hostname}:${port || '6379'}`, password: decodeURIComponent(password) };
  } catch {
    return { address: 'REDIS_URL', password: '' };
  }
}
