import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Entry, Source } from '../../functions/model/source.ts';
import { CHUNK_BYTES, keysOf, sealChunk } from '../../functions/model/sources/chunk-codec.ts';
import { createGcsSource } from '../../functions/model/sources/gcs.ts';
import {
  type CacheEvent,
  createRedisCache,
  type RedisCacheOptions,
} from '../../functions/model/sources/redis-cache.ts';
import { type RedisOptions, type RedisServer, startRedis } from '../helpers/redis-server.ts';
import { type StorageServer, startStorage } from '../helpers/storage-server.ts';
import { until } from '../helpers/until.ts';
import { find, pattern, readRange, sourceContract } from '../model/sources/contract.ts';
import { ROOT, run } from './program.ts';

const PATH = 'm/model.onnx';
/** Three chunks, the last of them odd. */
const SIZE = 2 * CHUNK_BYTES + 1_234_567;
const BYTES = pattern(SIZE);
const CHUNKS = 3;
const NEVER = new AbortController().signal;
/** For tests whose Redis does not answer: they wait for this twice. */
const COMMAND_MS = 300;

interface Instance {
  readonly source: Source;
  readonly entry: Entry;
  readonly events: CacheEvent[];
  readonly count: (kind: CacheEvent['kind']) => number;
  readonly faults: () => string[];
}

interface Place {
  readonly storage: StorageServer;
  readonly redis: RedisServer;
  /** A cache as another serving process has it. */
  start(options?: Partial<RedisCacheOptions>): Promise<Instance>;
  /** The ranges of the model that were read from the bucket, in order of their starts. */
  ranges(): string[];
}

async function setUp(t: TestContext, options: RedisOptions = {}): Promise<Place> {
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
      ...given,
    });
    t.after(() => source.close());
    const entry = await find(source, PATH);
    const count = (kind: CacheEvent['kind']): number => events.filter((event) => event.kind === kind).length;
    const faults = (): string[] => events.flatMap((event) => (event.kind === 'fault' ? event.fault : []));
    return { source, entry, events, count, faults };
  }

  const ranges = (): string[] =>
    storage.requests
      .flatMap(({ kind, range }) => (kind === 'media' ? (range ?? 'all') : []))
      .sort((a, b) => Number(a.split(/[=-]/)[1]) - Number(b.split(/[=-]/)[1]));
  return { storage, redis, start, ranges };
}

/** Two ranges at once, as a download does, that are not the chunks' own. */
async function readInTwo({ source, entry }: Instance): Promise<void> {
  const middle = CHUNK_BYTES + 1_000_001;
  const parts = await Promise.all([readRange(source, entry, 0, middle), readRange(source, entry, middle, SIZE)]);
  assert.ok(Buffer.concat(parts).equals(BYTES), 'wrong bytes');
}

async function readAll({ source, entry }: Instance): Promise<void> {
  assert.ok((await readRange(source, entry)).equals(BYTES), 'wrong bytes');
}

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
const { createGcsSource } = await import(root + '/functions/model/sources/gcs.ts');
const { createRedisCache } = await import(root + '/functions/model/sources/redis-cache.ts');
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

type Breakage = (redis: RedisServer) => unknown;
const BREAKAGES: readonly [title: string, breakIt: Breakage, inMidRead: Breakage][] = [
  ['killed', (redis) => redis.kill(), (redis) => redis.kill()],
  ['paused', (redis) => redis.pause(), (redis) => redis.pause()],
  ['restarted', (redis) => redis.restart(), (redis) => redis.restart()],
  ['flushed', (redis) => redis.flush(), (redis) => redis.flush()],
  ['filled with garbage', fillWithGarbage, fillWithGarbage],
];

/** Under each key something else: another length, another bit, another type. The lock stays as it is. */
async function fillWithGarbage(redis: RedisServer): Promise<void> {
  const keys = (await redis.keys()).filter((key) => !key.endsWith(':lock'));
  for (const [at, key] of keys.entries()) {
    if (at % 3 === 0) await redis.command('SETRANGE', key, '1234567', Buffer.of(0, 1, 2, 3, 4));
    else if (at % 3 === 1) await redis.command('APPEND', key, 'more');
    else {
      await redis.command('DEL', key);
      await redis.command('RPUSH', key, 'a list');
    }
  }
}

for (const [title, breakIt, inMidRead] of BREAKAGES) {
  for (const warm of [false, true]) {
    const state = warm ? 'full' : 'empty';
    test(`redis, ${state}, ${title} before, in the middle and at the end of a read: the right bytes`, async (t) => {
      for (const moment of ['before', 'middle', 'end'] as const) {
        const { redis, start } = await setUp(t);
        if (warm) {
          const first = await start();
          await readAll(first);
          await first.source.close();
        }
        const one = await start({ commandMs: COMMAND_MS });
        if (moment === 'before') await breakIt(redis);
        const startedAt = performance.now();
        const got: Buffer[] = [];
        let taken = 0;
        let breaking: unknown;
        const place = moment === 'middle' ? CHUNK_BYTES + 1 : SIZE;
        await one.source.read(
          one.entry,
          0,
          SIZE,
          (chunk) => {
            got.push(Buffer.from(chunk));
            taken += chunk.length;
            if (moment !== 'before' && breaking === undefined && taken >= place) breaking = inMidRead(redis) ?? null;
          },
          NEVER,
        );
        await breaking;
        assert.ok(Buffer.concat(got).equals(BYTES), `${moment}: wrong bytes`);
        const ms = performance.now() - startedAt;
        assert.ok(ms < 5 * COMMAND_MS + 2_000, `${moment}: took ${ms} ms`);
        const closedAt = performance.now();
        await one.source.close();
        assert.ok(performance.now() - closedAt < 500, `${moment}: close took ${performance.now() - closedAt} ms`);

        await readInTwo(await start({ commandMs: COMMAND_MS }));
        redis.resume();
      }
    });
  }
}

test('redis: paused, it costs two bounded waits and no more, and is asked again after a rest', async (t) => {
  const { redis, start, ranges } = await setUp(t);
  const one = await start({ commandMs: COMMAND_MS, restMs: 1_500 });
  redis.pause();
  const startedAt = performance.now();
  await readAll(one);
  const ms = performance.now() - startedAt;
  assert.ok(ms >= COMMAND_MS && ms < 3 * COMMAND_MS + 500, `${ms} ms`);
  assert.deepEqual(one.faults(), ['timeout', 'timeout']);
  assert.equal(one.count('skipped'), 1);
  assert.equal(ranges().length, CHUNKS);
  redis.resume();
  await until(async () => {
    await readRange(one.source, one.entry, SIZE - 1, SIZE);
    return one.count('stored') > 0;
  }, 'it to be used again');
});

test('redis: its garbage is counted, and replaced', async (t) => {
  const { redis, start } = await setUp(t);
  const first = await start();
  await readAll(first);
  await first.source.close();
  await fillWithGarbage(redis);
  const second = await start();
  await readAll(second);
  assert.deepEqual([second.count('garbage'), second.count('stored'), second.faults()], [CHUNKS, CHUNKS, []]);
  await second.source.close();
  const third = await start();
  await readAll(third);
  assert.deepEqual([third.count('hit'), third.count('garbage')], [CHUNKS, 0]);
});

test('redis: a lock that is garbage keeps nobody from filling', async (t) => {
  for (const lock of [
    ['SET', 'not a lock'],
    ['SET', `${'ab'.repeat(16)}:7`],
    ['RPUSH', 'a list'],
  ] as const) {
    const { redis, start } = await setUp(t);
    const one = await start();
    await redis.command(lock[0], keysOf('gs://models', one.entry).lock, lock[1]);
    await readAll(one);
    assert.deepEqual([one.count('stored'), one.count('waited')], [CHUNKS, 0]);
  }
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

test('redis: full, it fails no read, and nothing more is sent to it', async (t) => {
  const { start, redis } = await setUp(t, { maxMemory: '3mb' });
  const one = await start();
  await readInTwo(one);
  assert.ok(one.faults().length > 0 && one.faults().every((fault) => fault === 'full'), one.faults().join());
  assert.ok(one.events.some((event) => event.kind === 'fault' && /nothing is stored for 30 s/.test(event.reason)));
  await one.source.close();
  assert.ok(!(await redis.keys()).some((key) => key.endsWith(':lock')), 'the others need not wait');
  await readInTwo(await start());
});

test('redis: a replica fails no read', async (t) => {
  const { start, redis } = await setUp(t);
  await redis.command('REPLICAOF', '127.0.0.1', '1');
  const one = await start();
  await readAll(one);
  assert.deepEqual(one.faults(), ['readonly', 'readonly']);
});

test('redis: with its password, with a wrong one, with none', async (t) => {
  const password = 'p@ss/w:rd %';
  const { start, redis } = await setUp(t, { password });
  const right = await start();
  await readAll(right);
  assert.deepEqual([right.count('stored'), right.faults()], [CHUNKS, []]);
  for (const secret of [':wr%40ng-one@', 'nobody:wr%40ng-one@', '']) {
    const one = await start({ url: `redis://${secret}127.0.0.1:${redis.port}` });
    await readAll(one);
    assert.deepEqual(one.faults(), ['denied', 'denied']);
    const text = JSON.stringify(one.events);
    assert.ok(text.includes(`127.0.0.1:${redis.port}`) && !text.includes('ng-one'), text);
  }
});

test('redis: over TLS, and where the certificate or the protocol is another', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'redis-tls-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', tls.key, '-out', tls.cert];
  const { code, stderr } = await run('openssl', ['req', '-x509', ...made, '-days', '2', ...subject]);
  assert.equal(code, 0, stderr);
  const { start, redis } = await setUp(t, { tls, password: 'secret' });
  const one = await start({ ca: readFileSync(tls.cert, 'utf8') });
  await readAll(one);
  assert.deepEqual([one.count('stored'), one.faults()], [CHUNKS, []]);

  const stranger = await start();
  await readAll(stranger);
  assert.deepEqual(stranger.faults(), ['tls', 'tls']);
  const plain = await start({ url: `redis://127.0.0.1:${redis.port}`, commandMs: COMMAND_MS });
  await readAll(plain);
  assert.equal(plain.faults().length, 2);

  const other = await setUp(t);
  const secure = await other.start({ url: other.redis.url.replace('redis:', 'rediss:'), commandMs: COMMAND_MS });
  await readAll(secure);
  assert.equal(secure.faults().length, 2);
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

test('redis: at an address where nothing is, it fails no read', async (t) => {
  const { start } = await setUp(t);
  for (const url of ['redis://127.0.0.1:1', 'redis://redis.invalid:6379', 'http://127.0.0.1', 'no address']) {
    const one = await start({ url });
    await readAll(one);
    assert.equal(one.faults().length, 2);
    assert.ok(['unreachable', 'timeout'].includes(one.faults()[0]!), one.faults()[0]);
  }
});
