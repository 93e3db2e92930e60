import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGcsSource } from '../../functions/model/sources/gcs/gcs.ts';
import { createRedisCache } from '../../functions/model/sources/redis/cache.ts';
import { CHUNK_BYTES, chunkKey, entryKey, sealChunk } from '../../functions/model/sources/redis/chunk-codec.ts';
import type { Source } from '../../functions/model/sources/source.ts';
import { until } from '../helpers/until.ts';
import { find, pattern, readRange, sourceContract } from '../model/sources/contract.ts';
import { BYTES, CHUNKS, NEVER, PATH, readAll, readInTwo, SIZE, setUp } from './redis-kit.ts';

const EACH_CHUNK_ONCE = [
  `bytes=0-${CHUNK_BYTES - 1}`,
  `bytes=${CHUNK_BYTES}-${2 * CHUNK_BYTES - 1}`,
  `bytes=${2 * CHUNK_BYTES}-${SIZE - 1}`,
];

sourceContract('redis', async (t) => {
  const { storage, redis } = await setUp(t);
  storage.put('models', 'another folder/model.onnx', pattern(10));
  const open = (uri: string): Source =>
    createRedisCache(createGcsSource(uri, { endpoint: storage.url }), {
      url: redis.url,
      ttlSeconds: 600,
      maxBytes: 2 ** 30,
      onEvent: () => {},
    });
  const source = open('gs://models/my folder');
  const missing = open('gs://models/no folder');
  t.after(() => missing.close());
  return {
    source,
    missing,
    put: (path, bytes) => storage.put('models', `my folder/${path}`, bytes),
    remove: (path) => storage.remove('models', `my folder/${path}`),
    close: () => source.close(),
  };
});

test('redis: what one instance read the next one gets without the bucket, and every key has a term', async (t) => {
  const { redis, start, ranges } = await setUp(t);
  await readAll(await start());
  assert.deepEqual(ranges(), EACH_CHUNK_ONCE);
  const keys = await redis.keys();
  assert.equal(keys.length, CHUNKS, keys.join());
  for (const key of keys) {
    const left = (await redis.command('PTTL', key)) as number;
    assert.ok(left > 0 && left <= 600_000, `${key}: ${left}`);
  }
  const second = await start();
  await readInTwo(second);
  assert.equal(ranges().length, CHUNKS);
  assert.deepEqual([second.count('miss'), second.count('hit'), second.faults()], [0, CHUNKS + 1, []]);
});

test('redis: an instance beside one that gets nowhere reads the bucket, and stores what is missing', async (t) => {
  const { storage, start, ranges } = await setUp(t);
  storage.inject({ type: 'stall', kind: 'media', at: 1_000 });
  const stuck = await start();
  const stop = new AbortController();
  const never = stuck.source.read(stuck.entry, 0, SIZE, () => {}, stop.signal);
  await until(() => ranges().length === 1, 'the first chunk to be asked for');
  const other = await start();
  await readAll(other);
  assert.equal(other.count('stored'), CHUNKS);
  stop.abort(new Error('enough'));
  await assert.rejects(never, /enough/);
});

test('redis: two instances at once both have the right bytes, and leave each chunk once', async (t) => {
  const { redis, start } = await setUp(t);
  const both = await Promise.all([start(), start()]);
  await Promise.all(both.map(readAll));
  assert.deepEqual([(await redis.keys()).length, both.flatMap((one) => one.faults())], [CHUNKS, []]);
});

test('redis: another generation, and another file, share nothing with it', async (t) => {
  const { storage, start } = await setUp(t);
  await readAll(await start());
  const other = pattern(SIZE, 5);
  storage.put('models', PATH, other);
  storage.put('models', 'n/model.onnx', other);
  const { source, entry, count } = await start();
  assert.ok((await readRange(source, entry)).equals(other));
  assert.equal(count('hit'), 0);
  assert.ok((await readRange(source, await find(source, 'n/model.onnx'))).equals(other));
  assert.equal(count('hit'), 0);
});

test('redis: a read that broke off goes on where it was, and no byte is read twice', async (t) => {
  const { storage, start } = await setUp(t);
  storage.inject({ type: 'reset', kind: 'media', at: CHUNK_BYTES + 2_000_000 });
  const { source, entry, count } = await start();
  const into: Buffer[] = [];
  const take = (chunk: Uint8Array): void => void into.push(Buffer.from(chunk));
  await assert.rejects(source.read(entry, 0, SIZE, take, NEVER), { fault: 'transient' });
  const taken = Buffer.concat(into).length;
  assert.ok(taken > CHUNK_BYTES && taken <= CHUNK_BYTES + 2_000_000, String(taken));
  await source.read(entry, taken, SIZE, take, NEVER);
  assert.ok(Buffer.concat(into).equals(BYTES));
  assert.equal(storage.requests.filter(({ range }) => range?.startsWith(`bytes=${taken}-`)).length, 1);
  // The chunk in which it broke is not whole in one read.
  assert.equal(count('stored'), CHUNKS - 1);
});

test('redis: a forged chunk is given once; the file is then read from the bucket, and the chunk replaced', async (t) => {
  const { redis, start } = await setUp(t);
  const first = await start();
  await readAll(first);
  await first.source.close();
  const key = chunkKey(entryKey('gs://models', first.entry), 1);
  const forged = (await redis.command('GET', key)) as Buffer;
  forged.fill(0, 100, 200);
  sealChunk(key, forged);
  await redis.command('SET', key, forged, 'EX', '600');

  const second = await start();
  assert.ok(second.source.shared, 'its reader has to check the MD5');
  assert.ok(!(await readRange(second.source, second.entry)).equals(BYTES));
  await readAll(second);
  await second.source.close();
  const third = await start();
  await readAll(third);
  assert.equal(third.count('hit'), CHUNKS);
});

test('redis: what is larger than the cap, or not worth it, is not stored', async (t) => {
  const { storage, redis, start } = await setUp(t);
  storage.put('models', 'm/model.json', pattern(10_000));
  const one = await start({ maxBytes: SIZE - 1 });
  await readAll(one);
  await readRange(one.source, await find(one.source, 'm/model.json'));
  assert.deepEqual(one.events, [
    { kind: 'skipped', why: 'large' },
    { kind: 'skipped', why: 'small' },
  ]);
  assert.deepEqual(await redis.keys(), []);
});
