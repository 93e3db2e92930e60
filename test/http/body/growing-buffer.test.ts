import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GrowingBuffer } from '../../../functions/http/body/growing-buffer.ts';

test('whatever the parts, they come out as one, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (parts) => {
      const buffer = new GrowingBuffer(10_000);
      for (const part of parts) buffer.append(Buffer.from(part));
      const expected = Buffer.concat(parts);
      assert.equal(buffer.length, expected.length);
      assert.deepEqual(buffer.take(), expected);
      assert.equal(buffer.length, 0);
    }),
  );
});

test('a lone part is given back as it is, uncopied', () => {
  const part = Buffer.from('whole');
  const buffer = new GrowingBuffer(100);
  buffer.append(part);
  assert.equal(buffer.take(), part);
});

test('a first part is never written to: its memory belongs to the socket', () => {
  const slab = Buffer.from('abcdef');
  const buffer = new GrowingBuffer(100);
  buffer.append(slab.subarray(0, 3));
  buffer.append(Buffer.from('xyz'));
  assert.equal(slab.toString(), 'abcdef');
  assert.equal(buffer.take().toString(), 'abcxyz');
});

test('a million parts of one byte take little more memory than their bytes', () => {
  const buffer = new GrowingBuffer(2 ** 20);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 2 ** 20; i++) buffer.append(Buffer.of(1));
  assert.ok(buffer.take().buffer.byteLength <= 2 ** 20, 'no more room than the limit');
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 2 ** 20);
});
