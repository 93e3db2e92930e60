import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { crc32c } from '../../../../functions/model/sources/crc32c.ts';
import { createGcsSource } from '../../../../functions/model/sources/gcs/gcs.ts';
import { SourceError } from '../../../../functions/model/sources/source.ts';
import { type StorageServer, startStorage } from '../../../helpers/storage-server.ts';
import { find, pattern, readRange, rejectsWith, sourceContract } from '../contract.ts';

const NEVER = new AbortController().signal;

async function start(t: TestContext): Promise<StorageServer> {
  const server = await startStorage();
  t.after(() => server.close());
  return server;
}

function open(t: TestContext, server: StorageServer, uri = 'gs://models', stallMs = 10_000) {
  const source = createGcsSource(uri, { endpoint: server.url, stallMs });
  t.after(() => source.close());
  return source;
}

sourceContract('gcs', async (t) => {
  const server = await start(t);
  server.put('models', 'another folder/model.onnx', pattern(10));
  const source = open(t, server, 'gs://models/my folder');
  return {
    source,
    missing: open(t, server, 'gs://models/no folder'),
    put: (path, bytes) => server.put('models', `my folder/${path}`, bytes),
    remove: (path) => server.remove('models', `my folder/${path}`),
    close: () => source.close(),
  };
});

test('takes a bucket, a folder and an object, and has that URI as its root', () => {
  for (const [uri, root] of [
    ['gs://bucket', 'gs://bucket'],
    ['gs://bucket/', 'gs://bucket'],
    ['gs://my_bucket.example.com/a b/c', 'gs://my_bucket.example.com/a b/c'],
    ['gs://bucket/a?b#c%20/', 'gs://bucket/a?b#c%20'],
    ['gs://bucket/Größe/model.onnx', 'gs://bucket/Größe/model.onnx'],
  ] as const) {
    const source = createGcsSource(uri);
    assert.deepEqual([source.root, source.shared], [root, false]);
    void source.close();
  }
});

test('refuses an address that is not one of a bucket, and says what is expected', () => {
  for (const uri of [
    'gs://',
    'gs:///x',
    'gs://bucket//x',
    'gs://bucket/x//',
    'gs://bucket/../x',
    'gs://Bucket/x',
    'gs://b',
    'gs://buck et',
    'gs://-bucket',
    'gs://user:secret@bucket',
    'gs://bucket/a\0b',
    's3://bucket/x',
    '',
  ]) {
    assert.throws(
      () => createGcsSource(uri),
      (error) =>
        error instanceof SourceError && error.fault === 'refused' && /gs:\/\/bucket\/folder/.test(error.message),
      uri,
    );
  }
});

test('lists all pages, with the checksums and times of each object, and requests no other fields', async (t) => {
  const server = await start(t);
  for (let at = 0; at < 2_500; at++) server.put('models', `m/${at}/model.onnx`, pattern(at % 7));
  const updated = '2026-01-02T03:04:05.678Z';
  const generation = server.put('models', 'm/x/model.onnx', Buffer.from('123456789'), { updated });
  const entries = await open(t, server).list(NEVER);
  assert.equal(entries.length, 2_501);
  assert.deepEqual(
    entries.find(({ path }) => path === 'm/x/model.onnx'),
    {
      path: 'm/x/model.onnx',
      bytes: 9,
      stamp: generation,
      crc32c: 0xe3069283,
      md5: '25f9e794323b453885f5181f1b624d0b',
      gzip: false,
      modifiedAt: Date.parse(updated),
    },
  );
  assert.equal(server.requests.length, 3);
  for (const { query } of server.requests) {
    const fields = 'items(name,size,generation,crc32c,md5Hash,contentEncoding,updated),nextPageToken';
    assert.equal(query.get('fields'), fields);
  }
});

test('lists the objects beside a single object, and not deeper ones', async (t) => {
  const server = await start(t);
  const names = ['a/model.onnx', 'a/model.json', 'a/weights.data', 'a/deeper/model.onnx', 'ab/model.onnx', 'root.onnx'];
  for (const name of names) server.put('models', name, pattern(3));
  const paths = async (uri: string) => (await open(t, server, uri).list(NEVER)).map(({ path }) => path);
  assert.deepEqual(await paths('gs://models/a/model.onnx'), ['model.json', 'model.onnx', 'weights.data']);
  assert.deepEqual(await paths('gs://models/root.onnx'), ['root.onnx']);
  await rejectsWith(paths('gs://models/a/other.onnx'), 'refused', /gs:\/\/models\/a\/other\.onnx: no such object/);
  const source = open(t, server, 'gs://models/a/model.onnx');
  assert.deepEqual(await readRange(source, await find(source, 'weights.data')), pattern(3));
});

test('omits placeholders of folders and names that lead out of the folder', async (t) => {
  const server = await start(t);
  for (const name of ['m/', 'm/a/', 'm/../x', 'm//x', 'm/./x', 'm/a\0b', 'm/a/model.onnx']) {
    server.put('models', name, pattern(3));
  }
  const entries = await open(t, server, 'gs://models/m').list(NEVER);
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['a/model.onnx'],
  );
  server.remove('models', 'm/a/model.onnx');
  assert.deepEqual(await open(t, server, 'gs://models/m').list(NEVER), []);
});

test('refuses a folder of more than 20,000 objects', async (t) => {
  const server = await start(t);
  for (let at = 0; at < 20_000; at++) server.put('models', `logs/${at}`, new Uint8Array());
  const source = open(t, server);
  assert.equal((await source.list(NEVER)).length, 20_000);
  server.put('models', 'one-more', new Uint8Array());
  await rejectsWith(
    source.list(NEVER),
    'refused',
    /gs:\/\/models: more than 20000 objects: put the models into a folder/,
  );
});

test('reads a compressed object as it is stored, also in parts', async (t) => {
  const server = await start(t);
  const stored = gzipSync(pattern(200_000));
  server.put('models', 'm/model.onnx', stored, { contentEncoding: 'gzip' });
  const source = open(t, server);
  const entry = await find(source, 'm/model.onnx');
  assert.deepEqual([entry.gzip, entry.bytes, entry.crc32c], [true, stored.length, crc32c(stored)]);
  assert.deepEqual(gunzipSync(await readRange(source, entry)), pattern(200_000));
  assert.deepEqual(await readRange(source, entry, 100, 200), stored.subarray(100, 200));
  const plain = { ...entry, gzip: false };
  const fail = () => assert.fail('handed bytes on');
  await rejectsWith(source.read(plain, 100, 200, fail, NEVER), 'changed', /stored as gzip/);
});

test('works through STORAGE_EMULATOR_HOST', async (t) => {
  const server = await start(t);
  server.put('models', 'm/model.onnx', pattern(1_000));
  process.env.STORAGE_EMULATOR_HOST = server.url;
  t.after(() => {
    delete process.env.STORAGE_EMULATOR_HOST;
  });
  const source = createGcsSource('gs://models/m');
  assert.deepEqual(await readRange(source, await find(source, 'model.onnx'), 10), pattern(1_000).subarray(10));
  await source.close();
  process.env.STORAGE_EMULATOR_HOST = `127.0.0.1:${server.port}`;
  const wrong = createGcsSource('gs://models/m');
  await rejectsWith(wrong.list(NEVER), 'refused', /^STORAGE_EMULATOR_HOST is 127\.0\.0\.1:\d+: expected a URL such as/);
  await wrong.close();
});

test('a single object is listed with its own level, and with requested objects of the folders below', async (t) => {
  const server = await start(t);
  for (const path of ['m/a.onnx', 'm/w', 'm/p/1', 'm/p/2', 'm/p/q/3', 'm/z/4']) server.put('models', path, pattern(10));
  const source = open(t, server, 'gs://models/m/a.onnx');
  const paths = async (also: string[]) => (await source.list(NEVER, { also })).map(({ path }) => path);
  assert.deepEqual(await paths([]), ['a.onnx', 'w']);
  const before = server.requests.length;
  assert.deepEqual(await paths(['w', 'p/1', 'p/2']), ['a.onnx', 'p/1', 'p/2', 'w']);
  assert.equal(server.requests.length - before, 2);
});
