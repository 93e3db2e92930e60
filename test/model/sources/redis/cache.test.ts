import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import {
  type CacheEvent,
  createChunkCache,
  createRedisCache,
} from '../../../../functions/model/sources/redis/cache.ts';
import {
  allocateChunk,
  CHUNK_BYTES,
  chunkKey,
  entryKey,
  HEADER_BYTES,
  sealChunk,
} from '../../../../functions/model/sources/redis/chunk-codec.ts';
import type { Command, RedisConnection, Reply } from '../../../../functions/model/sources/redis/connection.ts';
import type { Entry, Source } from '../../../../functions/model/sources/source.ts';

const BYTES = randomBytes(5_000_000);
const ENTRY: Entry = {
  path: 'm/model.onnx',
  bytes: BYTES.length,
  stamp: '1',
  crc32c: undefined,
  md5: createHash('md5').update(BYTES).digest('hex'),
  gzip: false,
  modifiedAt: 0,
};
const NEVER = new AbortController().signal;

const MEMORY: Source = {
  root: 'memory:',
  shared: false,
  list: async () => [ENTRY],
  folders: async () => ['m'],
  async read(_, start, end, take) {
    take(BYTES.subarray(start, end));
  },
  async close() {},
};

/** A cache whose Redis does with each connection what no Redis does. */
async function setUp(t: TestContext, serve: (socket: Socket) => void, commandMs = 100) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as { port: number };
  const events: CacheEvent[] = [];
  const source = createRedisCache(MEMORY, {
    url: `redis://user:hunter2@127.0.0.1:${port}`,
    ttlSeconds: 60,
    maxBytes: 2 ** 30,
    commandMs,
    onEvent: (event) => events.push(event),
  });
  t.after(() => source.close());
  return { source, events, sockets };
}

async function readAll(source: Source, entry = ENTRY): Promise<void> {
  const got: Buffer[] = [];
  await source.read(entry, 0, ENTRY.bytes, (chunk) => void got.push(Buffer.from(chunk)), NEVER);
  assert.ok(Buffer.concat(got).equals(BYTES));
}

const OK = '+OK\r\n';
const SERVERS: [title: string, reply: (socket: Socket, nth: number) => unknown][] = [
  ['accepts connections and never replies', () => {}],
  ['closes each connection', (socket) => socket.end()],
  ['resets each connection', (socket) => socket.resetAndDestroy()],
  ['replies in another protocol', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ['replies before a command', (socket) => socket.write('+OK\r\n+OK\r\n:1\r\n')],
  ['replies with the right type and the wrong values', (socket) => socket.write(OK)],
  ['replies with an unknown error', (socket) => socket.write('-hunter2 is no password\r\n')],
  ['replies with numbers', (socket, nth) => socket.write(nth === 0 ? OK : ':7\r\n')],
  ['replies with lists of lists', (socket, nth) => socket.write(nth === 0 ? OK : '*2\r\n*1\r\n:1\r\n$-1\r\n')],
  ['stops within a value', (socket, nth) => socket.write(nth === 0 ? OK : '$4194316\r\nabc')],
  ['truncates a value', (socket, nth) => (nth === 0 ? socket.write(OK) : socket.end('$4194316\r\nabc'))],
  [
    'announces a value larger than the memory',
    (socket, nth) => socket.write(nth === 0 ? OK : '$99999999999999\r\nabc'),
  ],
];

for (const [title, reply] of SERVERS) {
  test(`a Redis that ${title} fails no read, and costs two bounded waits`, async (t) => {
    const { source, events, sockets } = await setUp(t, (socket) => {
      let nth = 0;
      socket.on('data', () => reply(socket, nth++));
      if (/closes|resets|before a command/.test(title)) reply(socket, nth++);
    });
    for (let round = 0; round < 3; round++) await readAll(source);
    const kinds = events.map(({ kind }) => kind);
    assert.ok(!kinds.includes('hit'));
    assert.ok(kinds.includes('fault') || kinds.includes('garbage'));
    assert.ok(kinds.filter((kind) => kind === 'fault').length <= 2);
    assert.ok(!JSON.stringify(events).includes('hunter2'));
    await source.close();
    // Not `once` of Node's events, which rejects where the socket has an error first.
    for (const socket of sockets) if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  });
}

test('bytes that are not a reply end the connection at once, before its replies are assigned to other commands', async (t) => {
  const reply = (socket: Socket): void => void socket.on('data', () => socket.write('no reply\r\n'));
  const { source, events } = await setUp(t, reply, 60_000);
  await readAll(source);
  await readAll(source);
  const reasons = events.flatMap((event) => (event.kind === 'fault' ? event.reason : []));
  assert.equal(reasons.length, 2);
  assert.ok(!reasons.some((reason) => /within/.test(reason)), reasons.join());
});

test('an object without MD5 is read from the source alone: another client of Redis can forge a CRC32C', async (t) => {
  const { source, events } = await setUp(t, () => assert.fail('Redis was asked'));
  await readAll(source, { ...ENTRY, md5: undefined, crc32c: 1 });
  assert.deepEqual(events, [{ kind: 'skipped', why: 'unverifiable' }]);
});

test('the listing and the name are those of the source', async (t) => {
  const { source, events } = await setUp(t, () => assert.fail('Redis was asked'));
  assert.deepEqual([await source.list(NEVER), await source.folders(NEVER)], [[ENTRY], ['m']]);
  assert.deepEqual([source.root, source.shared, events], ['memory:', true, []]);
});

/** Three chunks, the last of them short. */
const SIZE = 2 * CHUNK_BYTES + 1_000;
const LARGE = randomBytes(SIZE);
const LARGE_ENTRY: Entry = { ...ENTRY, bytes: SIZE };
const KEY = entryKey('memory:', LARGE_ENTRY);

/** A cache over a Redis in a Map, and a source whose reads are recorded; both are on a clock that they alone move. */
function setUpChunks() {
  const values = new Map<string, Buffer>();
  const events: CacheEvent[] = [];
  const reads: [start: number, end: number][] = [];
  const failures: string[] = [];
  const clock = { ms: 0 };
  const state = {
    available: true,
    commandMs: 0,
    sourceMs: 0,
    breakAt: SIZE,
    endAt: SIZE,
    setReply: 'OK' as Reply | undefined,
    onCommand: (_name: string): Promise<undefined> | undefined => undefined,
  };

  async function send([name, key, ...rest]: Command): Promise<Reply | undefined> {
    clock.ms += state.commandMs;
    await state.onCommand(String(name));
    const value = values.get(String(key));
    if (name === 'GETRANGE') return Buffer.from((value ?? Buffer.alloc(0)).subarray(0, Number(rest[1]) + 1));
    assert.deepEqual([name, rest.slice(1)], ['SET', ['EX', '60']]);
    if (state.setReply === 'OK') values.set(String(key), Buffer.from(rest[0] as Buffer));
    return state.setReply;
  }

  const connection: RedisConnection = {
    connect: async () => state.available,
    send,
    recordFailure: (message) => void failures.push(message),
    close() {},
  };
  const source: Source = {
    ...MEMORY,
    async read(_, start, end, take) {
      reads.push([start, end]);
      clock.ms += state.sourceMs;
      // In pieces, the taker's only during the call.
      for (let at = start; at < end; at += 1_000_000) {
        if (at >= state.endAt) return;
        if (at >= state.breakAt) {
          state.breakAt = SIZE;
          throw new Error('reset');
        }
        const piece = Buffer.from(LARGE.subarray(at, Math.min(end, at + 1_000_000)));
        take(piece);
        piece.fill(0);
        await null;
      }
    },
  };
  const onEvent = (event: CacheEvent): void => void events.push(event);
  const open = (): Source =>
    createChunkCache(source, connection, { ttlSeconds: 60, maxBytes: 2 ** 30, onEvent, now: () => clock.ms });
  const store = (index: number, bytes = LARGE.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)): void => {
    const value = allocateChunk(bytes.length);
    value.set(bytes, HEADER_BYTES);
    sealChunk(chunkKey(KEY, index), value);
    values.set(chunkKey(KEY, index), value);
  };
  return { open, values, events, reads, failures, state, store, kinds: () => events.map(({ kind }) => kind) };
}

async function readLarge(source: Source, start = 0, end = SIZE, got: Buffer[] = []): Promise<Buffer> {
  await source.read(LARGE_ENTRY, start, end, (bytes) => void got.push(Buffer.from(bytes)), NEVER);
  return Buffer.concat(got);
}

const EACH_CHUNK = [
  [0, CHUNK_BYTES],
  [CHUNK_BYTES, 2 * CHUNK_BYTES],
  [2 * CHUNK_BYTES, SIZE],
];

test('a missing chunk is read from the source and stored, and the next instance reads it from Redis', async () => {
  const { open, reads, kinds } = setUpChunks();
  assert.ok((await readLarge(open())).equals(LARGE));
  assert.deepEqual([reads, kinds()], [EACH_CHUNK, ['miss', 'stored', 'miss', 'stored', 'miss', 'stored']]);
  assert.ok((await readLarge(open())).equals(LARGE));
  assert.ok((await readLarge(open(), 7, CHUNK_BYTES + 7)).equals(LARGE.subarray(7, CHUNK_BYTES + 7)));
  assert.deepEqual([reads.length, kinds().slice(6)], [3, ['hit', 'hit', 'hit', 'hit', 'hit']]);
});

test('no byte is read for the cache alone: only the needed part of a chunk', async () => {
  const { open, reads, values } = setUpChunks();
  assert.ok((await readLarge(open(), 7, CHUNK_BYTES + 7)).equals(LARGE.subarray(7, CHUNK_BYTES + 7)));
  assert.deepEqual(reads, [
    [7, CHUNK_BYTES],
    [CHUNK_BYTES, CHUNK_BYTES + 7],
  ]);
  assert.equal(values.size, 0);
});

test('a chunk that the source did not deliver completely is not stored', async () => {
  const { open, values, state } = setUpChunks();
  state.endAt = 2_000_000;
  assert.equal((await readLarge(open(), 0, CHUNK_BYTES)).length, 2_000_000);
  assert.equal(values.size, 0);
});

test('a read that broke is resumed, from Redis if that has the chunk', async () => {
  const { open, reads, state, store } = setUpChunks();
  state.breakAt = 2_000_000;
  const source = open();
  const got: Buffer[] = [];
  await assert.rejects(readLarge(source, 0, SIZE, got), /reset/);
  const { length } = Buffer.concat(got);
  assert.equal(length, 2_000_000);
  store(0);
  assert.ok((await readLarge(source, length, SIZE, got)).equals(LARGE));
  assert.deepEqual(reads, [EACH_CHUNK[0], EACH_CHUNK[1], EACH_CHUNK[2]]);
});

test('bytes that are read again come from the source, and a forged chunk is replaced', async () => {
  const { open, reads, store } = setUpChunks();
  store(0);
  store(1, randomBytes(CHUNK_BYTES));
  store(2);
  const source = open();
  assert.ok(!(await readLarge(source)).equals(LARGE));
  assert.deepEqual(reads, []);
  assert.ok((await readLarge(source)).equals(LARGE));
  assert.deepEqual(reads, EACH_CHUNK);
  assert.ok((await readLarge(open())).equals(LARGE));
  assert.equal(reads.length, 3);
});

test('bytes that are read again come from the source also after a break', async () => {
  const { open, reads, state, store } = setUpChunks();
  store(0, randomBytes(CHUNK_BYTES));
  const source = open();
  await readLarge(source, 0, CHUNK_BYTES);
  state.breakAt = 2_000_000;
  const got: Buffer[] = [];
  await assert.rejects(readLarge(source, 0, CHUNK_BYTES, got), /reset/);
  assert.ok((await readLarge(source, 2_000_000, CHUNK_BYTES, got)).equals(LARGE.subarray(0, CHUNK_BYTES)));
  assert.equal(reads.length, 2);
});

test('a Redis that is not available gets no command: the rest is one read of the source', async () => {
  const { open, reads, state, events } = setUpChunks();
  state.available = false;
  assert.ok((await readLarge(open(), 5)).equals(LARGE.subarray(5)));
  assert.deepEqual([reads, events], [[[5, SIZE]], [{ kind: 'skipped', why: 'unavailable' }]]);
});

test('a Redis that takes longer for a missing chunk than the source counts as a failure, one that does not take longer does not', async () => {
  for (const [commandMs, sourceMs, slow] of [
    [200, 80, true],
    [200, 500, false],
    [100, 0, false],
  ] as const) {
    const { open, failures, state } = setUpChunks();
    Object.assign(state, { commandMs, sourceMs });
    await readLarge(open(), 0, CHUNK_BYTES);
    assert.deepEqual(failures, slow ? ['400 ms for a missing chunk that the source gives in 80 ms'] : []);
  }
});

test('a reply to SET that is not OK is a failure', async () => {
  const { open, failures, state, kinds } = setUpChunks();
  state.setReply = 7;
  await readLarge(open(), 0, CHUNK_BYTES);
  assert.deepEqual([failures, kinds()], [['the reply to SET is not OK'], ['miss']]);
});

test('a read that is aborted does not wait for Redis', async () => {
  const { open, state, events } = setUpChunks();
  const reason = new Error('enough');
  for (const name of ['GETRANGE', 'SET']) {
    const stop = new AbortController();
    state.onCommand = (sent) => {
      if (sent !== name) return undefined;
      stop.abort(reason);
      return new Promise(() => {});
    };
    await assert.rejects(
      open().read(LARGE_ENTRY, 0, SIZE, () => {}, stop.signal),
      reason,
    );
  }
  assert.deepEqual(events, [{ kind: 'miss' }]);
});
