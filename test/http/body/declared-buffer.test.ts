import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeclaredBuffer } from '../../../functions/http/body/declared-buffer.ts';

test('pieces are put together, and the whole lies in memory of its own with the lead before it', () => {
  for (const length of [1, 1000, 262_144, 262_145, 3_000_000]) {
    for (const lead of [0, 5]) {
      const buffer = new DeclaredBuffer(length, lead);
      const whole = Buffer.alloc(length, 'abc');
      for (let at = 0; at < length; at += 60_000) buffer.append(whole.subarray(at, at + 60_000));
      const body = buffer.take();
      assert.ok(body.equals(whole));
      assert.deepEqual([body.byteOffset, body.buffer.byteLength], [lead, lead + length]);
    }
  }
});

test('memory is made for what has arrived, and not for what was declared', () => {
  const buffer = new DeclaredBuffer(2 ** 30, 0);
  buffer.append(Buffer.alloc(10));
  assert.equal(buffer.take().length, 10);
  assert.ok(buffer.take().buffer.byteLength <= 2 ** 20);
});
