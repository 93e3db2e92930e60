import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type File, Storage } from '@google-cloud/storage';
import { type Clock, type StorageOptions, type StorageServer, startStorage } from './storage-server.ts';

const SIZE = 300_000;
const BYTES = Buffer.from(Array.from({ length: SIZE }, (_, at) => (at * 7 + (at >> 8)) & 0xff));
const NAME = 'a folder/#1 ?x=%2F/模型.onnx';

interface Kit {
  readonly server: StorageServer;
  readonly file: File;
  readonly generation: string;
  /** The object's bytes by plain HTTP, with this header and query. */
  get(range?: string, query?: string): Promise<Response>;
}

async function setUp(t: TestContext, options?: StorageOptions): Promise<Kit> {
  const server = await startStorage(options);
  t.after(() => server.close());
  const generation = server.put('bucket', NAME, BYTES);
  const storage = new Storage({ apiEndpoint: server.url, retryOptions: { autoRetry: false } });
  const url = `${server.url}/storage/v1/b/bucket/o/${encodeURIComponent(NAME)}?alt=media`;
  const get = (range?: string, query = '') =>
    fetch(url + query, { headers: { 'accept-encoding': 'identity', ...(range !== undefined && { range }) } });
  return { server, file: storage.bucket('bucket').file(NAME), generation, get };
}

/** Records what it is asked to wait, and waits for nothing. */
const stoppedClock = (pauses: number[]): Clock => ({ now: () => 0, pause: async (ms) => pauses.push(ms) });

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

/** The bytes that came before an answer broke off. */
async function bytesBefore(response: Response): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  await assert.rejects(async () => {
    for await (const piece of response.body!) pieces.push(piece);
  });
  return Buffer.concat(pieces);
}

test('lists by page, prefix and delimiter, by name', async (t) => {
  const { server, file } = await setUp(t);
  for (const name of ['m/b/1', 'm/a/1', 'm/a/2', 'm/x', 'm2/y']) server.put('bucket', name, Buffer.from(name));
  const names = async (query: object) => (await file.bucket.getFiles(query))[0].map(({ name }) => name);
  assert.deepEqual(await names({}), [NAME, 'm/a/1', 'm/a/2', 'm/b/1', 'm/x', 'm2/y']);
  assert.equal(server.requests.length, 1);
  const pages: string[][] = [];
  for (let query: object | undefined = { prefix: 'm/', maxResults: 3, autoPaginate: false }; query !== undefined; ) {
    const [files, next]: [File[], object | undefined, unknown] = await file.bucket.getFiles(query);
    pages.push(files.map(({ name }) => name));
    query = next ?? undefined;
  }
  assert.deepEqual(pages, [['m/a/1', 'm/a/2', 'm/b/1'], ['m/x']]);
  const beside = await file.bucket.getFiles({ prefix: 'm/', delimiter: '/', autoPaginate: false });
  assert.deepEqual(
    [beside[0].map(({ name }) => name), beside[2]],
    [['m/x'], { kind: 'storage#objects', prefixes: ['m/a/', 'm/b/'], items: [beside[0][0]!.metadata] }],
  );
  server.remove('bucket', 'm/x');
  assert.deepEqual(await names({ prefix: 'm/x' }), []);
});

test('gives metadata and the bytes that they describe', async (t) => {
  const { file, generation } = await setUp(t);
  const [metadata] = await file.getMetadata();
  const { name, size, md5Hash, crc32c } = metadata;
  const md5 = createHash('md5').update(BYTES).digest('base64');
  assert.deepEqual(
    { name, size, md5Hash, generation: metadata.generation },
    { name: NAME, size: `${SIZE}`, md5Hash: md5, generation },
  );
  // The client compares the bytes with the checksums of the answer's head.
  for (const validation of ['crc32c', 'md5'] as const) {
    assert.ok((await file.download({ validation }))[0].equals(BYTES));
  }
  const response = await fetch(
    `${file.storage.apiEndpoint}/download/storage/v1/b/bucket/o/${encodeURIComponent(NAME)}`,
  );
  assert.equal(response.headers.get('x-goog-hash'), `crc32c=${crc32c},md5=${md5}`);
  assert.equal(response.headers.get('x-goog-stored-content-length'), `${SIZE}`);
  assert.ok((await bytesOf(response)).equals(BYTES));
});

test('gives ranges, and 416 for one beyond the end', async (t) => {
  const { server, file, get } = await setUp(t);
  assert.deepEqual((await file.download({ start: 10, end: 19 }))[0], BYTES.subarray(10, 20));
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    [`bytes=${SIZE - 1}-`, SIZE - 1, SIZE],
    ['bytes=-5', SIZE - 5, SIZE],
    [`bytes=100-${SIZE * 2}`, 100, SIZE],
  ] as const) {
    const response = await get(range);
    assert.equal(response.status, 206);
    assert.equal(response.headers.get('content-range'), `bytes ${start}-${end - 1}/${SIZE}`);
    assert.ok((await bytesOf(response)).equals(BYTES.subarray(start, end)), range);
  }
  const beyond = await get(`bytes=${SIZE}-`);
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, `bytes */${SIZE}`]);
  await beyond.body?.cancel();
  assert.deepEqual(server.requests.map(({ kind, name, range, status }) => [kind, name, range, status]).slice(0, 2), [
    ['media', NAME, 'bytes=10-19', 206],
    ['media', NAME, 'bytes=0-0', 206],
  ]);
});

test('holds to the generation that is asked for', async (t) => {
  const { server, file, generation } = await setUp(t);
  const pinned = file.bucket.file(NAME, { generation });
  assert.equal((await pinned.download({ start: 0, end: 0 }))[0].length, 1);
  const next = server.put('bucket', NAME, Buffer.from('new'));
  assert.ok(BigInt(next) > BigInt(generation));
  await assert.rejects(pinned.download({ start: 0, end: 0 }), { code: 404 });
  await assert.rejects(pinned.getMetadata(), { code: 404 });
  assert.equal(String((await file.download())[0]), 'new');
});

test('answers 404 for what is not there', async (t) => {
  const { file } = await setUp(t);
  await assert.rejects(file.storage.bucket('nowhere').getFiles(), { code: 404, message: /bucket does not exist/ });
  await assert.rejects(file.bucket.file('nothing').getMetadata(), {
    code: 404,
    message: /No such object: bucket\/nothing/,
  });
});

test('unpacks a gzip object for a client that cannot', async (t) => {
  const { server, file, get } = await setUp(t);
  const stored = gzipSync(BYTES);
  server.put('bucket', NAME, stored, { contentEncoding: 'gzip' });
  assert.ok((await file.download())[0].equals(BYTES));
  const [asStored] = await file.download({ decompress: false, validation: false });
  assert.ok(gunzipSync(asStored).equals(BYTES));
  const unpacked = await get('bytes=0-9');
  assert.deepEqual([unpacked.status, unpacked.headers.get('x-goog-stored-content-encoding')], [200, 'gzip']);
  assert.ok((await bytesOf(unpacked)).equals(BYTES));
});

test('gives errors in the words of Google, as often as asked and only where asked', async (t) => {
  const { server, file, get } = await setUp(t);
  server.inject({ type: 'status', status: 429, retryAfter: '3', kind: 'media', name: NAME, times: 2 });
  assert.equal((await file.getMetadata())[0].size, `${SIZE}`);
  for (let n = 0; n < 2; n++) {
    const response = await get();
    assert.deepEqual([response.status, response.headers.get('retry-after')], [429, '3']);
    const { error } = (await response.json()) as { error: { code: number; errors: { reason: string }[] } };
    assert.deepEqual([error.code, error.errors[0]?.reason], [429, 'rateLimitExceeded']);
  }
  assert.equal((await bytesOf(await get())).length, SIZE);
});

for (const at of [1, SIZE >> 1, SIZE - 1]) {
  test(`breaks, bends or keeps back an answer at byte ${at}`, async (t) => {
    const { server, generation, get } = await setUp(t);
    for (const fault of [
      { type: 'reset', at },
      { type: 'replace', at, bytes: BYTES },
    ] as const) {
      server.inject(fault);
      const got = await bytesBefore(await get());
      assert.ok(got.length <= at && BYTES.subarray(0, got.length).equals(got));
    }
    assert.equal((await get('bytes=0-0', `&generation=${generation}`)).status, 404);
    server.inject({ type: 'flip', at });
    const flipped = await bytesOf(await get());
    assert.equal(flipped[at], BYTES[at]! ^ 1);
    flipped[at]! ^= 1;
    assert.ok(flipped.equals(BYTES));
    server.inject({ type: 'short', at });
    const short = await get();
    assert.equal(short.headers.get('content-length'), `${at}`);
    assert.ok((await bytesOf(short)).equals(BYTES.subarray(0, at)));
    server.inject({ type: 'stall', at });
    let left = at;
    const reader = (await get()).body!.getReader();
    while (left > 0) left -= (await reader.read()).value!.length;
    assert.equal(left, 0);
    await reader.cancel();
    await server.requests.at(-1)!.closed;
    // One of two ranges holds the byte, and only that one is hit.
    server.inject({ type: 'short', at });
    const middle = (SIZE >> 1) - 1;
    const parts: Buffer[] = [];
    for (const range of [`bytes=0-${middle}`, `bytes=${middle + 1}-`]) parts.push(await bytesOf(await get(range)));
    const lengths = parts.map(({ length }) => length);
    assert.deepEqual(lengths, at <= middle ? [at, SIZE / 2] : [SIZE / 2, at - SIZE / 2]);
  });
}

test('sends too much, ignores a range, and lets one wait', async (t) => {
  const pauses: number[] = [];
  const { server, get } = await setUp(t, { clock: stoppedClock(pauses) });
  server.inject({ type: 'long', extra: 5 });
  assert.equal((await bytesOf(await get('bytes=0-9'))).length, 15);
  server.inject({ type: 'ignore-range' });
  const whole = await get('bytes=5-9');
  assert.deepEqual([whole.status, whole.headers.get('content-range')], [200, null]);
  assert.ok((await bytesOf(whole)).equals(BYTES));
  for (const fault of [
    { type: 'delay', ms: 40 },
    { type: 'delay', ms: 40, at: 1_000 },
  ] as const) {
    server.inject(fault);
    assert.ok((await bytesOf(await get())).equals(BYTES));
    assert.equal(pauses.pop(), 40);
  }
});

test('keeps to its latency, and to one speed for all answers together', async (t) => {
  const pauses: number[] = [];
  const { get } = await setUp(t, { latencyMs: 30, bytesPerSecond: 6_000_000, clock: stoppedClock(pauses) });
  await Promise.all([get(), get()].map(async (one) => bytesOf(await one)));
  assert.equal(pauses.filter((ms) => ms === 30).length, 2);
  // By a clock that stands still, each piece waits for all before it: the last one for nearly 600 kB.
  const longest = Math.max(...pauses);
  assert.ok(longest > 80 && longest < 100, `${longest} ms for 600 kB`);
});

test('as a program serves the files of a folder', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'storage server '));
  t.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'iris', '1'), { recursive: true });
  writeFileSync(join(folder, 'iris', '1', 'model.onnx'), BYTES);
  const program = join(import.meta.dirname, 'storage-server.ts');
  const child = spawn(process.execPath, [program, '--port', '0', '--latency', '1', `bucket=${folder}`]);
  t.after(() => child.kill());
  const [line] = await once(child.stdout, 'data');
  const { port } = JSON.parse(String(line)) as { port: number };
  const response = await fetch(`http://127.0.0.1:${port}/storage/v1/b/bucket/o/iris%2F1%2Fmodel.onnx?alt=media`);
  assert.ok((await bytesOf(response)).equals(BYTES));
});
