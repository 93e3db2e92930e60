import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  allocateChunk,
  CHUNK_BYTES,
  chunkKey,
  chunkLength,
  entryKey,
  HEADER_BYTES,
  openChunk,
  sealChunk,
} from '../../../../functions/model/sources/redis/chunk-codec.ts';
import type { Entry } from '../../../../functions/model/sources/source.ts';

const ENTRY: Entry = {
  path: 'iris/3/model.onnx',
  bytes: 2 * CHUNK_BYTES + 1,
  stamp: '1700000000000001',
  crc32c: 1,
  md5: 'aa',
  gzip: false,
  modifiedAt: 0,
};

const text = fc.string({ minLength: 1, unit: 'grapheme' });
const content = fc.uint8Array({ maxLength: 200 });

function seal(key: string, bytes: Uint8Array): Buffer {
  const value = allocateChunk(bytes.length);
  value.set(bytes, HEADER_BYTES);
  sealChunk(key, value);
  return value;
}

test('a value sealed for a key opens for that key, with the same bytes', () => {
  fc.assert(
    fc.property(text, content, (key, bytes) => {
      assert.deepEqual(openChunk(key, seal(key, bytes), bytes.length), Buffer.from(bytes));
    }),
  );
});

test('any changed bit is found', () => {
  fc.assert(
    fc.property(text, content, fc.nat(), (key, bytes, at) => {
      const value = seal(key, bytes);
      const bit = at % (value.length * 8);
      value[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(openChunk(key, value, bytes.length), undefined);
    }),
  );
});

test('a value that is truncated, extended, of another length or of another key is found', () => {
  fc.assert(
    fc.property(text, content, fc.nat(), (key, bytes, at) => {
      const value = seal(key, bytes);
      assert.equal(openChunk(key, value.subarray(0, at % value.length), bytes.length), undefined);
      assert.equal(openChunk(key, Buffer.concat([value, Buffer.of(0)]), bytes.length), undefined);
      assert.equal(openChunk(key, value, bytes.length + 1), undefined);
      assert.equal(openChunk(`${key}0`, value, bytes.length), undefined);
    }),
  );
});

test('a reply that is not a string is not a chunk', () => {
  for (const reply of [undefined, null, 5, 'OK', '', [], new Error('WRONGTYPE')])
    assert.equal(openChunk('key', reply, 0), undefined);
});

test('a key identifies one chunk of one generation of one file of one source', () => {
  const one = entryKey('gs://a', ENTRY);
  assert.match(chunkKey(one, 12), /^onnx-cloud-run:\{[0-9a-f]{40}\}:12$/);
  assert.equal(entryKey('gs://a', { ...ENTRY, crc32c: undefined, modifiedAt: 9 }), one);
  const others = [
    entryKey('gs://b', ENTRY),
    entryKey('gs://a', { ...ENTRY, path: 'iris/4/model.onnx' }),
    entryKey('gs://a', { ...ENTRY, stamp: '1700000000000002' }),
    entryKey('gs://a', { ...ENTRY, bytes: ENTRY.bytes + 1 }),
    entryKey('gs://ai', { ...ENTRY, path: 'ris/3/model.onnx' }),
  ];
  assert.equal(new Set([one, ...others].flatMap((key) => [chunkKey(key, 0), chunkKey(key, 1)])).size, 12);
});

test('the last chunk has the remaining bytes', () => {
  assert.deepEqual(
    [0, 1, 2].map((index) => chunkLength(ENTRY, index)),
    [CHUNK_BYTES, CHUNK_BYTES, 1],
  );
});
