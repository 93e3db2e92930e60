import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type CacheEvent, createRedisCache } from '../../../../functions/model/sources/redis/cache.ts';
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
async function setUp(t: TestContext, serve: (socket: Socket) => void) {
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
    commandMs: 100,
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
const SERVERS: [title: string, answer: (socket: Socket, nth: number) => unknown][] = [
  ['takes connections and never answers', () => {}],
  ['closes each connection', (socket) => socket.end()],
  ['resets each connection', (socket) => socket.resetAndDestroy()],
  ['answers in another protocol', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')],
  ['greets before it is asked', (socket) => socket.write('+OK\r\n+OK\r\n:1\r\n')],
  ['answers with the right type and the wrong values', (socket) => socket.write(OK)],
  ['answers with an error of its own', (socket) => socket.write('-hunter2 is no password\r\n')],
  ['gives numbers', (socket, nth) => socket.write(nth === 0 ? OK : ':7\r\n')],
  ['gives lists of lists', (socket, nth) => socket.write(nth === 0 ? OK : '*2\r\n*1\r\n:1\r\n$-1\r\n')],
  ['stops in mid-value', (socket, nth) => socket.write(nth === 0 ? OK : '$4194316\r\nabc')],
  ['cuts a value', (socket, nth) => (nth === 0 ? socket.write(OK) : socket.end('$4194316\r\nabc'))],
  ['announces more than there is memory', (socket, nth) => socket.write(nth === 0 ? OK : '$99999999999999\r\nabc')],
];

for (const [title, answer] of SERVERS) {
  test(`a Redis that ${title} fails no read, and costs two bounded waits`, async (t) => {
    const { source, events, sockets } = await setUp(t, (socket) => {
      let nth = 0;
      socket.on('data', () => answer(socket, nth++));
      if (/closes|resets|greets/.test(title)) answer(socket, nth++);
    });
    const startedAt = performance.now();
    await readAll(source);
    await readAll(source);
    assert.ok(performance.now() - startedAt < 1_000);
    assert.ok(!events.some(({ kind }) => kind === 'hit'));
    assert.ok(events.some(({ kind }) => kind === 'fault' || kind === 'garbage'));
    assert.ok(events.filter(({ kind }) => kind === 'fault').length <= 2);
    assert.ok(!JSON.stringify(events).includes('hunter2'));
    const closedAt = performance.now();
    await source.close();
    assert.ok(performance.now() - closedAt < 400);
    for (const socket of sockets) if (!socket.destroyed) await once(socket, 'close');
  });
}

test('bytes that are no reply end the connection at once, before its replies go to other commands', async (t) => {
  const { source, events } = await setUp(t, (socket) => void socket.on('data', () => socket.write('no reply\r\n')));
  await readAll(source);
  const faults = events.flatMap((event) => (event.kind === 'fault' ? event.fault : []));
  assert.ok(faults.length === 2 && !faults.includes('timeout'), faults.join());
});

test('an object without MD5 is read from the source alone: a CRC-32C can be forged by whoever writes to Redis', async (t) => {
  const { source, events } = await setUp(t, () => assert.fail('Redis was asked'));
  await readAll(source, { ...ENTRY, md5: undefined, crc32c: 1 });
  assert.deepEqual(events, [{ kind: 'skipped', why: 'unverifiable' }]);
});

test('a listing is the one of the source, and so is the name', async (t) => {
  const { source, events } = await setUp(t, () => assert.fail('Redis was asked'));
  assert.deepEqual([await source.list(NEVER), await source.folders(NEVER)], [[ENTRY], ['m']]);
  assert.deepEqual([source.root, source.shared, events], ['memory:', true, []]);
});
