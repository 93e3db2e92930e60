import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHUNK_BYTES } from '../../functions/model/sources/redis/chunk-codec.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { readRange } from '../model/sources/contract.ts';
import { run } from './program.ts';
import { BYTES, CHUNKS, type Instance, NEVER, readAll, readInTwo, SIZE, setUp } from './redis-kit.ts';

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

/** Under each key something else: another length, another bit, another type. */
async function fillWithGarbage(redis: RedisServer): Promise<void> {
  const keys = await redis.keys();
  for (const [at, key] of keys.entries()) {
    if (at % 3 === 0) await redis.command('SETRANGE', key, '1234567', Buffer.of(0, 1, 2, 3, 4));
    else if (at % 3 === 1) await redis.command('APPEND', key, 'more');
    else {
      await redis.command('DEL', key);
      await redis.command('RPUSH', key, 'a list');
    }
  }
}

/** Three times, of which the last does without Redis. @returns what was logged of failures. */
async function readWithoutRedis(one: Instance): Promise<string> {
  for (let round = 0; round < 3; round++) await readAll(one);
  const faults = one.faults();
  assert.equal(faults.length, 2, faults.join());
  assert.match(faults[1]!, /; Redis is not used for 30 s$/);
  assert.deepEqual([one.count('hit'), one.count('stored')], [0, 0]);
  return faults.join();
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
        assert.ok(one.faults().length <= 2, `${moment}: waited more than twice: ${one.faults().join()}`);
        await one.source.close();

        await readInTwo(await start({ commandMs: COMMAND_MS }));
        redis.resume();
      }
    });
  }
}

test('redis: paused, it costs two bounded waits and no more, and is asked again after its time', async (t) => {
  const { redis, start, ranges } = await setUp(t);
  const one = await start({ commandMs: COMMAND_MS, openMs: 1_500 });
  redis.pause();
  await readAll(one);
  assert.equal(one.faults().length, 2, one.faults().join());
  assert.ok(
    one.faults().every((reason) => reason.includes(`within ${COMMAND_MS} ms`)),
    one.faults().join(),
  );
  assert.match(one.faults()[1]!, /; Redis is not used for 1\.5 s$/);
  assert.deepEqual([one.count('skipped') > 0, ranges().at(-1)], [true, `bytes=${2 * CHUNK_BYTES}-${SIZE - 1}`]);
  redis.resume();
  await until(async () => {
    await readRange(one.source, one.entry, 2 * CHUNK_BYTES, SIZE);
    return one.count('stored') > 0;
  }, 'it to be used again');
});

test('redis: paused, it does not keep a cache from closing', async (t) => {
  const { redis, start } = await setUp(t);
  const one = await start({ commandMs: 60_000 });
  await readRange(one.source, one.entry, 2 * CHUNK_BYTES, SIZE);
  redis.pause();
  const reading = readRange(one.source, one.entry, 0, 2 * CHUNK_BYTES);
  await one.source.close();
  assert.ok((await reading).equals(BYTES.subarray(0, 2 * CHUNK_BYTES)));
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

test('redis: full, it fails no read, and nothing more is sent to it', async (t) => {
  const { start } = await setUp(t, { maxMemory: '3mb' });
  const one = await start();
  await readAll(one);
  assert.equal(one.faults().length, 2);
  assert.ok(
    one.faults().every((reason) => /OOM/.test(reason)),
    one.faults().join(),
  );
  assert.match(one.faults()[1]!, /; Redis is not used for 30 s$/);
  assert.equal(one.count('skipped'), 1);
  await readInTwo(await start());
});

test('redis: a replica that holds the model gives it, one that does not fails no read', async (t) => {
  const { start, redis } = await setUp(t);
  await readAll(await start());
  await redis.command('REPLICAOF', '127.0.0.1', '1');
  const one = await start();
  await readAll(one);
  assert.deepEqual([one.count('hit'), one.faults()], [CHUNKS, []]);

  const other = await setUp(t);
  await other.redis.command('REPLICAOF', '127.0.0.1', '1');
  const two = await other.start();
  await readAll(two);
  assert.equal(two.faults().length, 2);
  assert.ok(
    two.faults().every((reason) => /READONLY/.test(reason)),
    two.faults().join(),
  );
});

test('redis: with its password, with a wrong one, with none', async (t) => {
  const password = 'p@ss/w:rd %';
  const { start, redis } = await setUp(t, { password });
  const right = await start();
  await readAll(right);
  assert.deepEqual([right.count('stored'), right.faults()], [CHUNKS, []]);
  for (const secret of [':wr%40ng-one@', 'nobody:wr%40ng-one@', '']) {
    const one = await start({ url: `redis://${secret}127.0.0.1:${redis.port}` });
    assert.match(await readWithoutRedis(one), /WRONGPASS|NOAUTH/);
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
  assert.match(await readWithoutRedis(stranger), /certificate/);
  const plain = await start({ url: `redis://127.0.0.1:${redis.port}`, commandMs: COMMAND_MS });
  await readWithoutRedis(plain);

  const other = await setUp(t);
  const secure = await other.start({ url: other.redis.url.replace('redis:', 'rediss:'), commandMs: COMMAND_MS });
  await readWithoutRedis(secure);
});

test('redis: at an address where nothing is, it fails no read', async (t) => {
  const { start } = await setUp(t);
  for (const url of ['redis://127.0.0.1:1', 'redis://redis.invalid:6379', 'http://127.0.0.1', 'no address']) {
    await readWithoutRedis(await start({ url }));
  }
});
