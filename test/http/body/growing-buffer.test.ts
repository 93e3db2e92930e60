import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GrowingBuffer } from '../../../functions/http/body/growing-buffer.ts';
import { ownsMemory } from '../../../functions/http/body/owned-memory.ts';

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

test('a single part is returned without a copy', () => {
  const part = Buffer.from('whole');
  const buffer = new GrowingBuffer(100);
  buffer.append(part);
  assert.equal(buffer.take(), part);
});

test('bytes are marked as owned if their memory was allocated here, and only then', () => {
  const buffer = new GrowingBuffer(100);
  // A Buffer that fills its ArrayBuffer may still be used by the framework or the socket that gave it.
  buffer.append(Buffer.allocUnsafeSlow(5));
  assert.equal(ownsMemory(buffer.take()), false);
  for (const parts of [2, 3]) {
    for (let i = 0; i < parts; i++) buffer.append(Buffer.alloc(10));
    const taken = buffer.take();
    assert.equal(ownsMemory(taken), true);
    assert.equal(ownsMemory(taken.subarray()), false, 'another view of it');
    assert.ok(taken.buffer.byteLength <= 40, 'not in a pool');
  }
  assert.equal(ownsMemory(buffer.take()), false, 'no bytes');
});

test('memory grows without a copy of more than 4 MiB at a time', (t) => {
  const buffer = new GrowingBuffer(2 ** 25);
  const piece = Buffer.alloc(65_000, 'abcdefg');
  const copied: number[] = [];
  const copy = t.mock.method(Buffer.prototype, 'copy');
  for (let i = 0; i < 500; i++) buffer.append(piece);
  for (const { arguments: given, result } of copy.mock.calls) if (given.length > 2) copied.push(result!);
  copy.mock.restore();
  assert.ok(copied.length > 0 && Math.max(...copied) <= 2 ** 22, copied.join());
  const taken = buffer.take();
  assert.equal(taken.length, 500 * 65_000);
  for (let i = 0; i < 500; i++) assert.ok(taken.subarray(i * 65_000, (i + 1) * 65_000).equals(piece));
});

test('memory is freed when larger memory takes its place, and when all is discarded', (t) => {
  const freed: number[] = [];
  const { transfer } = ArrayBuffer.prototype;
  t.mock.method(ArrayBuffer.prototype, 'transfer', function (this: ArrayBuffer, length: number) {
    freed.push(this.byteLength);
    return transfer.call(this, length);
  });
  const buffer = new GrowingBuffer(1000);
  for (let i = 0; i < 4; i++) buffer.append(Buffer.alloc(100));
  assert.deepEqual(freed, [200], 'not the first part, whose memory is not its own');
  buffer.clear();
  assert.deepEqual(freed, [200, 400]);
  buffer.append(Buffer.alloc(1));
  buffer.append(Buffer.alloc(1));
  assert.equal(buffer.take().length, 2);
  buffer.clear();
  assert.deepEqual(freed, [200, 400], 'not what was taken');
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
