import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CacheEvent } from '../../../../functions/model/sources/redis/cache-event.ts';
import { CHUNK_BYTES, HEADER_BYTES, keysOf, sealChunk } from '../../../../functions/model/sources/redis/chunk-codec.ts';
import type { Link, Reply } from '../../../../functions/model/sources/redis/connection.ts';
import { createEntryCache } from '../../../../functions/model/sources/redis/entry-cache.ts';
import type { FillLock } from '../../../../functions/model/sources/redis/fill-lock.ts';
import type { Entry, Source } from '../../../../functions/model/sources/source.ts';
import { until } from '../../../helpers/until.ts';
import { pattern } from '../contract.ts';

const SIZE = 2 * CHUNK_BYTES + 1_000;
const BYTES = pattern(SIZE);
const ENTRY: Entry = {
  path: 'm/model.onnx',
  bytes: SIZE,
  stamp: '1',
  crc32c: undefined,
  md5: undefined,
  gzip: false,
  modifiedAt: 0,
};
const KEYS = keysOf('memory:', ENTRY);
const HOLDER = `${'a'.repeat(32)}:0`;
const NEVER = new AbortController().signal;

/** An entry over a Redis in a Map, whose lock is `whose`. */
function setUp(whose: Awaited<ReturnType<FillLock['take']>>, waitMs = 60) {
  const values = new Map<string, Buffer>();
  const events: CacheEvent[] = [];
  const reads: [start: number, end: number][] = [];
  const state = { whose, leftAlone: false, released: 0, beforeTake: (): void => {} };
  const empty = Buffer.alloc(0);

  async function send([name, key, ...rest]: readonly (string | Buffer)[]): Promise<Reply | undefined> {
    const value = values.get(String(key));
    if (name === 'GETRANGE') return Buffer.from((value ?? empty).subarray(0, Number(rest[1]) + 1));
    if (name === 'STRLEN') return value?.length ?? 0;
    if (name === 'GET') return value ?? null;
    assert.deepEqual([name, rest.slice(1)], ['SET', ['EX', '60']]);
    values.set(String(key), Buffer.from(rest[0] as Buffer));
    return 'OK';
  }
  const link: Link = {
    ask: send,
    store: send,
    isLeftAlone: () => state.leftAlone,
    isClosedToStores: () => false,
    close() {},
  };
  const lock: FillLock = {
    async take() {
      state.beforeTake();
      return state.whose;
    },
    progress() {},
    release: async () => void state.released++,
  };
  const source: Source = {
    root: 'memory:',
    shared: false,
    list: async () => [ENTRY],
    folders: async () => [],
    async read(_, start, end, take) {
      reads.push([start, end]);
      // In pieces, the taker's only during the call.
      for (let at = start; at < end; at += 1_000_000) {
        const piece = Buffer.from(BYTES.subarray(at, Math.min(end, at + 1_000_000)));
        take(piece);
        piece.fill(0);
        await null;
      }
    },
    async close() {},
  };
  const onEvent = (event: CacheEvent): void => void events.push(event);
  const cache = createEntryCache({ source, entry: ENTRY, keys: KEYS, link, lock, ttlSeconds: 60, waitMs, onEvent });
  const store = (index: number): void => {
    const bytes = BYTES.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    const value = Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes]);
    sealChunk(KEYS.chunk(index), value);
    values.set(KEYS.chunk(index), value);
  };

  async function read(start = 0, end = SIZE): Promise<void> {
    const got: Buffer[] = [];
    await cache.read(start, end, (chunk) => void got.push(Buffer.from(chunk)), NEVER);
    assert.ok(Buffer.concat(got).equals(BYTES.subarray(start, end)), `wrong bytes from ${start} to ${end}`);
  }
  return { cache, values, events, reads, state, store, read, kinds: () => events.map(({ kind }) => kind) };
}

test('with the lock, chunks that are missing are read whole, each once, and stored', async () => {
  const { read, reads, values, kinds } = setUp('held');
  const middle = CHUNK_BYTES + 5;
  await Promise.all([read(0, middle), read(middle, SIZE)]);
  assert.deepEqual(
    reads.sort(([a], [b]) => a - b),
    [
      [0, CHUNK_BYTES],
      [CHUNK_BYTES, 2 * CHUNK_BYTES],
      [2 * CHUNK_BYTES, SIZE],
    ],
  );
  assert.equal(values.size, 3);
  assert.equal(kinds().filter((kind) => kind === 'stored').length, 3);
});

test('a lock that was just taken makes it look again: the one before may have stored the chunk', async () => {
  const { read, reads, state, store, kinds } = setUp('taken');
  state.beforeTake = () => store(0);
  await read(0, 10);
  assert.deepEqual([reads, kinds()], [[], ['miss', 'hit']]);
});

test('where Redis does not say whose the lock is, nobody is waited for and nothing is stored', async () => {
  const { read, reads, values, kinds } = setUp(undefined);
  await read(7, CHUNK_BYTES + 7);
  assert.deepEqual(reads, [
    [7, CHUNK_BYTES],
    [CHUNK_BYTES, CHUNK_BYTES + 7],
  ]);
  assert.deepEqual([values.size, kinds()], [0, ['miss', 'miss']]);
});

test('a chunk that another stores is waited for', async () => {
  const { read, reads, values, events, store, kinds } = setUp('theirs', 60_000);
  values.set(KEYS.lock, Buffer.from(HOLDER));
  const reading = read(0, CHUNK_BYTES);
  await until(() => kinds().includes('miss'), 'the miss');
  store(0);
  await reading;
  assert.deepEqual([reads, kinds()], [[], ['miss', 'waited', 'hit']]);
  const [, waited] = events;
  assert.ok(waited?.kind === 'waited' && waited.came);
});

test('one whose holder stores nothing within the bound is waited for once', async () => {
  const { read, reads, values, kinds } = setUp('theirs');
  values.set(KEYS.lock, Buffer.from(HOLDER));
  await read();
  assert.equal(reads.length, 3);
  assert.deepEqual(kinds(), ['miss', 'waited', 'miss', 'miss']);
});

test('a holder that stores elsewhere is waited for longer, but not for ever', async () => {
  const { read, reads, values, events } = setUp('theirs', 100);
  let n = 0;
  const timer = setInterval(() => values.set(KEYS.lock, Buffer.from(`${'a'.repeat(32)}:${++n}`)), 10);
  values.set(KEYS.lock, Buffer.from(HOLDER));
  await read(0, 10).finally(() => clearInterval(timer));
  assert.equal(reads.length, 1);
  const waited = events.find((event) => event.kind === 'waited')!;
  assert.ok(waited.ms >= 395 && waited.ms < 1_000, `${waited.ms} ms`);
});

test("garbage under another's lock is not waited for", async () => {
  const { read, reads, values, store, kinds } = setUp('theirs', 60_000);
  values.set(KEYS.lock, Buffer.from(HOLDER));
  store(0);
  values.get(KEYS.chunk(0))![1_000]! ^= 1;
  await read(0, 10);
  assert.deepEqual([reads, kinds()], [[[0, 10]], ['garbage']]);
});

test('bytes that are read again are taken from the source, and the chunk is stored anew', async () => {
  const { read, reads, store, kinds } = setUp('held');
  for (const index of [0, 1, 2]) store(index);
  await read();
  assert.deepEqual(reads, []);
  await read(0, 10);
  assert.deepEqual(reads, [[0, CHUNK_BYTES]]);
  assert.deepEqual(kinds(), ['hit', 'hit', 'hit', 'stored']);
});

test('a Redis that is left alone is not asked: the rest is one read of the source', async () => {
  const { read, reads, state, kinds } = setUp('held');
  state.leftAlone = true;
  await read(5, SIZE);
  assert.deepEqual([reads, kinds()], [[[5, SIZE]], ['skipped']]);
});

test('at rest the lock is given back', async () => {
  const { read, cache, state } = setUp('held');
  await read();
  await cache.rest();
  assert.equal(state.released, 1);
});
