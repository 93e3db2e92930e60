import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeclaredBuffer } from '../../../functions/http/body/declared-buffer.ts';
import { ownsMemory } from '../../../functions/http/body/owned-memory.ts';

test('pieces are concatenated in memory that nothing else uses, with the lead before them', () => {
  for (const length of [1, 1000, 262_144, 262_145, 3_000_000]) {
    for (const lead of [0, 5]) {
      const buffer = new DeclaredBuffer(length, lead);
      const whole = Buffer.alloc(length, 'abc');
      for (let at = 0; at < length; at += 60_000) buffer.append(whole.subarray(at, at + 60_000));
      const body = buffer.take();
      assert.ok(body.equals(whole));
      assert.deepEqual([body.byteOffset, body.buffer.byteLength], [lead, lead + length]);
      assert.ok(ownsMemory(body));
    }
  }
});

test('memory is made for what has arrived, and not for what was declared', () => {
  const buffer = new DeclaredBuffer(2 ** 30, 0);
  buffer.append(Buffer.alloc(10));
  assert.equal(buffer.take().length, 10);
  assert.ok(buffer.take().buffer.byteLength <= 2 ** 20);
});

test('memory grows without a copy of more than 4 MiB at a time', (t) => {
  const buffer = new DeclaredBuffer(2 ** 25, 3);
  const copied: number[] = [];
  const copy = t.mock.method(Buffer.prototype, 'copy');
  const piece = Buffer.alloc(65_536);
  for (let i = 0; i < 512; i++) buffer.append(piece);
  for (const { arguments: given, result } of copy.mock.calls) if (given.length > 2) copied.push(result!);
  copy.mock.restore();
  assert.deepEqual(copied, [2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22]);
});
