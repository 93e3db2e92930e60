import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHUNK_BYTES, keysOf } from '../../functions/model/sources/redis/chunk-codec.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { readRange } from '../model/sources/contract.ts';
import { run } from './program.ts';
import { BYTES, CHUNKS, NEVER, readAll, readInTwo, SIZE, setUp } from './redis-kit.ts';

/** For tests whose Redis does not answer: they wait for this twice. */
const COMMAND_MS = 300;

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

test('redis: paused, it does not keep a cache from closing', async (t) => {
  const { redis, start } = await setUp(t);
  const one = await start({ commandMs: 10_000 });
  await readAll(one);
  redis.pause();
  const startedAt = performance.now();
  await one.source.close();
  const ms = performance.now() - startedAt;
  assert.ok(ms < 1_000, `${ms} ms`);
  redis.resume();
  assert.deepEqual(one.faults(), []);
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

test('redis: full, it fails no read, and nothing more is sent to it', async (t) => {
  const { start, redis } = await setUp(t, { maxMemory: '3mb' });
  const one = await start();
  await readInTwo(one);
  assert.ok(one.faults().length > 0 && one.faults().every((fault) => fault === 'full'), one.faults().join());
  assert.ok(one.events.some((event) => event.kind === 'fault' && /nothing is stored for 30 s/.test(event.reason)));
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

test('redis: at an address where nothing is, it fails no read', async (t) => {
  const { start } = await setUp(t);
  for (const url of ['redis://127.0.0.1:1', 'redis://redis.invalid:6379', 'http://127.0.0.1', 'no address']) {
    const one = await start({ url });
    await readAll(one);
    assert.equal(one.faults().length, 2);
    assert.ok(['unreachable', 'timeout'].includes(one.faults()[0]!), one.faults()[0]);
  }
});
