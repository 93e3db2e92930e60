import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createGcsSource } from '../../functions/model/sources/gcs/gcs.ts';
import { createRedisCache } from '../../functions/model/sources/redis/cache.ts';
import { CHUNK_BYTES, keysOf, sealChunk } from '../../functions/model/sources/redis/chunk-codec.ts';
import type { Source } from '../../functions/model/sources/source.ts';
import { until } from '../helpers/until.ts';
import { find, pattern, readRange, sourceContract } from '../model/sources/contract.ts';
import { ROOT } from './program.ts';
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
  const first = await start();
  await readInTwo(first);
  assert.deepEqual(ranges(), EACH_CHUNK_ONCE);
  const keys = await redis.keys();
  assert.equal(keys.length, CHUNKS + 1, `chunks and the lock: ${keys}`);
  for (const key of keys) {
    const left = (await redis.command('PTTL', key)) as number;
    assert.ok(left > 0 && left <= 600_000, `${key}: ${left}`);
  }
  await first.source.close();
  assert.equal((await redis.keys()).length, CHUNKS, 'the lock is given back');

  const second = await start();
  await readInTwo(second);
  assert.equal(ranges().length, CHUNKS);
  assert.deepEqual([second.count('miss'), second.count('hit'), second.faults()], [0, CHUNKS + 1, []]);
});

test('redis: of two instances at once one fills, and the bucket is read once', async (t) => {
  const { storage, start, ranges } = await setUp(t);
  for (let at = 0; at < CHUNKS; at++)
    storage.inject({ type: 'delay', ms: 100, at: at * CHUNK_BYTES + 9, kind: 'media' });
  const both = await Promise.all([start(), start()]);
  await Promise.all(both.map(readInTwo));
  assert.deepEqual(ranges(), EACH_CHUNK_ONCE);
  const filled = both.filter((one) => one.count('stored') > 0);
  assert.equal(filled.length, 1);
  const other = both.find((one) => one !== filled[0])!;
  assert.ok(other.count('waited') > 0);
  assert.equal(other.count('hit'), CHUNKS + 1);
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

/** Another serving process, which reads the model from its start. */
const FILLER = `
const [root, endpoint, url] = process.argv.slice(1);
const { createGcsSource } = await import(root + '/functions/model/sources/gcs/gcs.ts');
const { createRedisCache } = await import(root + '/functions/model/sources/redis/cache.ts');
const bucket = createGcsSource('gs://models', { endpoint });
const options = { url, ttlSeconds: 600, maxBytes: 2 ** 30, onEvent: (event) => console.log(event.kind) };
const source = createRedisCache(bucket, options);
const { signal } = new AbortController();
const [entry] = await source.list(signal);
await source.read(entry, 0, entry.bytes, () => {}, signal);
`;

test('redis: when the one that fills is killed, another goes on with what is missing', async (t) => {
  const { storage, redis, start, ranges } = await setUp(t);
  // It has stored one chunk then, and will not get the rest of the next.
  storage.inject({ type: 'stall', kind: 'media', at: CHUNK_BYTES + 1_000 });
  const args = ['--input-type=module', '-e', FILLER, ROOT, storage.url, redis.url];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await until(() => ranges().length === 2, 'the second chunk to be asked for');
  const other = await start({ waitMs: 60_000 });
  const reading = readAll(other);
  await until(() => other.count('hit') === 1 && other.count('miss') === 1, 'the other to wait');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const killedAt = performance.now();
  await reading;
  const ms = performance.now() - killedAt;
  assert.ok(ms < 5_000, `went on after ${ms} ms`);
  assert.deepEqual(ranges(), [EACH_CHUNK_ONCE[0], EACH_CHUNK_ONCE[1], ...EACH_CHUNK_ONCE.slice(1)]);
  assert.equal(other.count('stored'), 2);
});

test('redis: one that fills and gets nowhere is left after the bound, and the rest comes from the bucket', async (t) => {
  const { storage, start, ranges } = await setUp(t);
  storage.inject({ type: 'stall', kind: 'media', at: 1_000 });
  const stuck = await start();
  const stop = new AbortController();
  const never = stuck.source.read(stuck.entry, 0, SIZE, () => {}, stop.signal);
  await until(() => ranges().length === 1, 'the first chunk to be asked for');
  const other = await start({ waitMs: 400 });
  const startedAt = performance.now();
  await readInTwo(other);
  assert.ok(performance.now() - startedAt < 2_000);
  const waited = other.events.filter((event) => event.kind === 'waited');
  assert.ok(waited.length > 0 && waited.every(({ came }) => !came));
  stop.abort(new Error('enough'));
  await assert.rejects(never, /enough/);
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
  assert.equal(count('stored'), CHUNKS);
});

test('redis: a forged chunk is given once; the file is then read from the bucket, and the chunk replaced', async (t) => {
  const { redis, start } = await setUp(t);
  const first = await start();
  await readAll(first);
  await first.source.close();
  const key = keysOf('gs://models', first.entry).chunk(1);
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
