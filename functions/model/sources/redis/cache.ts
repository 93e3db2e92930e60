import type { Entry, Source } from '../source.ts';
import type { CacheEvent } from './cache-event.ts';
import { keysOf } from './chunk-codec.ts';
import { type Connect, createLink, RefusedError, type Reply } from './connection.ts';
import { createEntryCache, type EntryCache } from './entry-cache.ts';
import { createFillLock, type FillLock } from './fill-lock.ts';

export type { CacheEvent, CacheFault } from './cache-event.ts';

export interface RedisCacheOptions {
  /** `redis://[user[:password]@]host[:port][/database]`; `rediss://` for TLS. */
  readonly url: string;
  /** After which Redis forgets a chunk. */
  readonly ttlSeconds: number;
  /** The largest entry that is cached. */
  readonly maxBytes: number;
  readonly onEvent: (event: CacheEvent) => void;
  /** PEM of the certificates to trust for `rediss://`; Node's own where it is not given. */
  readonly ca?: string;
  /** How long another instance that fills may store nothing before it is no longer waited for; 5000. */
  readonly waitMs?: number;
  /** The longest that connecting may take, and then each command; 1000. */
  readonly commandMs?: number;
  /** After which an instance that filled and died is no longer taken to fill; 3000. */
  readonly lockMs?: number;
  /** How long Redis is left alone after two faults in a row; 30000. */
  readonly restMs?: number;
}

/** Below that a read of the source takes no longer than one of Redis. */
const LEAST_BYTES = 64 * 1024;
/** Between two reads of a file there may be no read of it: the lock outlasts the gap. */
const LINGER_MS = 200;
/** By then a file with a wrong checksum has been read again. */
const FORGET_MS = 120_000;
/** What closing may wait for Redis, to free the locks; without it they lapse. */
const CLOSE_MS = 250;

interface Used {
  readonly cache: EntryCache;
  readonly lock: FillLock;
  readers: number;
  timers: NodeJS.Timeout[];
}

/**
 * Redis as a cache in front of another source, for many instances that start at once: one reads from the source and
 * stores what it reads, in chunks; the others wait for each chunk, within a bound, and take it from Redis. What Redis
 * does wrong fails no read: it is told to `onEvent`, and the source is read.
 */
export function createRedisCache(source: Source, options: RedisCacheOptions): Source {
  const { url, ca, ttlSeconds, maxBytes } = options;
  const { waitMs = 5_000, commandMs = 1_000, lockMs = 3_000, restMs = 30_000 } = options;
  const { where, password } = describeUrl(url);
  const used = new Map<string, Used>();

  function onEvent(event: CacheEvent): void {
    const secret = event.kind === 'fault' && password !== '';
    options.onEvent(secret ? { ...event, reason: event.reason.replaceAll(password, '***') } : event);
  }

  const link = createLink({ load: () => loadClient(url, ca, commandMs), where, commandMs, restMs, onEvent });

  function use(entry: Entry): Used {
    const keys = keysOf(source.root, entry);
    const known = used.get(keys.lock);
    if (known !== undefined) {
      for (const timer of known.timers.splice(0)) clearTimeout(timer);
      known.readers += 1;
      return known;
    }
    const lock = createFillLock(link, keys.lock, lockMs);
    const cache = createEntryCache({ source, entry, keys, link, lock, ttlSeconds, waitMs, onEvent });
    const made: Used = { cache, lock, readers: 1, timers: [] };
    used.set(keys.lock, made);
    return made;
  }

  function leave(entry: Entry, one: Used): void {
    one.readers -= 1;
    if (one.readers > 0) return;
    const forget = (): boolean => used.delete(keysOf(source.root, entry).lock);
    one.timers = [
      setTimeout(() => void one.cache.rest(), LINGER_MS).unref(),
      setTimeout(forget, Math.max(FORGET_MS, LINGER_MS)).unref(),
    ];
  }

  return {
    root: source.root,
    // Whoever can write to Redis can make chunks with the right checksums.
    shared: true,
    list: source.list,
    folders: source.folders,
    async read(entry, start, end, take, signal) {
      const why = whySkipped(entry, maxBytes);
      if (why !== undefined) {
        onEvent({ kind: 'skipped', why });
        return source.read(entry, start, end, take, signal);
      }
      const one = use(entry);
      try {
        await one.cache.read(start, end, take, signal);
      } finally {
        leave(entry, one);
      }
    },
    async close() {
      const all = [...used.values()];
      for (const timer of all.flatMap(({ timers }) => timers)) clearTimeout(timer);
      let bound: NodeJS.Timeout | undefined;
      const over = new Promise((resolve) => {
        bound = setTimeout(resolve, CLOSE_MS);
      });
      await Promise.race([Promise.all(all.map(({ lock }) => lock.release())), over]);
      clearTimeout(bound);
      link.close();
      await source.close();
    },
  };
}

/** Why an entry is read from the source alone. */
function whySkipped({ bytes, md5 }: Entry, maxBytes: number): 'small' | 'large' | 'unverifiable' | undefined {
  if (bytes < LEAST_BYTES) return 'small';
  if (bytes > maxBytes) return 'large';
  // Others can write to Redis, and whoever can makes bytes of any CRC-32C.
  return md5 === undefined ? 'unverifiable' : undefined;
}

/** Brings Redis's client, and gives what makes a connection with it: one that does not come back by itself. */
async function loadClient(url: string, ca: string | undefined, connectTimeout: number): Promise<Connect> {
  // The default alone: a bundler gives a CommonJS module no named exports here.
  const { default: redis } = await import('@redis/client');
  const { createClient, ErrorReply, RESP_TYPES } = redis;

  return async (signal) => {
    const client = createClient({
      url,
      // Without a greeting that older servers, and proxies, do not know.
      RESP: 2,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      disableOfflineQueue: true,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
      // The client lets go of a socket only once it is connected: before that, the signal does.
      socket: { connectTimeout, reconnectStrategy: false, signal, ...(ca !== undefined && { ca }) },
    });
    let cause: unknown;
    const end = (): void => client.destroy();
    client.on('error', (error) => {
      cause ??= error;
      // After bytes that are no reply it would go on with the next ones, and with replies for the wrong commands.
      end();
    });
    signal.addEventListener('abort', end, { once: true });

    function explain(error: unknown): unknown {
      if (error instanceof ErrorReply) return new RefusedError(error.message);
      return cause ?? error;
    }

    try {
      await client.connect();
    } catch (error) {
      end();
      throw explain(error);
    }
    return {
      isAlive: () => client.isReady,
      async send(command) {
        try {
          return (await client.sendCommand(command)) as unknown as Reply;
        } catch (error) {
          throw explain(error);
        }
      },
    };
  };
}

/** What may be said of the address, and what may not. */
function describeUrl(url: string): { where: string; password: string } {
  try {
    const { hostname, port, password } = new URL(url);
    return { where: `${hostname}:${port || '6379'}`, password: decodeURIComponent(password) };
  } catch {
    return { where: 'REDIS_URL', password: '' };
  }
}
