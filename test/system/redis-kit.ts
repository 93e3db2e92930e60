import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { createGcsSource } from '../../functions/model/sources/gcs/gcs.ts';
import {
  type CacheEvent,
  createRedisCache,
  type RedisCacheOptions,
} from '../../functions/model/sources/redis/cache.ts';
import { CHUNK_BYTES } from '../../functions/model/sources/redis/chunk-codec.ts';
import type { Entry, Source } from '../../functions/model/sources/source.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type StorageServer, startStorage } from '../helpers/storage-server.ts';
import { find, pattern, readRange } from '../model/sources/contract.ts';

export const PATH = 'm/model.onnx';
/** Three chunks, the last of them odd. */
export const SIZE = 2 * CHUNK_BYTES + 1_234_567;
export const BYTES = pattern(SIZE);
export const CHUNKS = 3;
export const NEVER = new AbortController().signal;

export interface Instance {
  readonly source: Source;
  readonly entry: Entry;
  readonly events: CacheEvent[];
  readonly count: (kind: CacheEvent['kind']) => number;
  /** What was logged of failures. */
  readonly faults: () => string[];
}

export interface Place {
  readonly storage: StorageServer;
  readonly redis: RedisServer;
  /** A cache as another serving process has it. */
  start(options?: Partial<RedisCacheOptions>): Promise<Instance>;
  /** The ranges of the model that were read from the bucket, in order of their starts. */
  ranges(): string[];
}

export async function setUp(t: TestContext, options: RedisOptions = {}): Promise<Place> {
  const [storage, redis] = await Promise.all([startStorage(), startRedis(options)]);
  t.after(() => Promise.all([storage.close(), redis.close()]));
  storage.put('models', PATH, BYTES);

  async function start(given: Partial<RedisCacheOptions> = {}): Promise<Instance> {
    const events: CacheEvent[] = [];
    const source = createRedisCache(createGcsSource('gs://models', { endpoint: storage.url }), {
      url: redis.url,
      ttlSeconds: 600,
      maxBytes: 2 ** 30,
      onEvent: (event) => events.push(event),
      // How fast a busy machine is decides nothing here.
      slowMs: 60_000,
      ...given,
    });
    t.after(() => source.close());
    const entry = await find(source, PATH);
    const count = (kind: CacheEvent['kind']): number => events.filter((event) => event.kind === kind).length;
    const faults = (): string[] => events.flatMap((event) => (event.kind === 'fault' ? event.reason : []));
    return { source, entry, events, count, faults };
  }

  const ranges = (): string[] =>
    storage.requests
      .flatMap(({ kind, range }) => (kind === 'media' ? (range ?? 'all') : []))
      .sort((a, b) => Number(a.split(/[=-]/)[1]) - Number(b.split(/[=-]/)[1]));
  return { storage, redis, start, ranges };
}

/** Two ranges at once, as a download does, that are not the chunks' own. */
export async function readInTwo({ source, entry }: Instance): Promise<void> {
  const middle = CHUNK_BYTES + 1_000_001;
  const parts = await Promise.all([readRange(source, entry, 0, middle), readRange(source, entry, middle, SIZE)]);
  assert.ok(Buffer.concat(parts).equals(BYTES), 'wrong bytes');
}

export async function readAll({ source, entry }: Instance): Promise<void> {
  assert.ok((await readRange(source, entry)).equals(BYTES), 'wrong bytes');
}
