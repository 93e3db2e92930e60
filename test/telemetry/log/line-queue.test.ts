import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineQueue } from '../../../functions/telemetry/log/line-queue.ts';

/** A reader that takes `step` bytes a write, throws `error` when there is one, and shows what it got. */
function fakeReader(step = Number.POSITIVE_INFINITY) {
  const reader = {
    got: '',
    writes: 0,
    error: undefined as string | undefined,
    write(bytes: Uint8Array, offset: number): number {
      reader.writes += 1;
      if (reader.error !== undefined) throw Object.assign(new Error(reader.error), { code: reader.error });
      const taken = bytes.subarray(offset, Math.min(bytes.length, offset + step));
      reader.got += Buffer.from(taken).toString('latin1');
      return taken.length;
    },
  };
  return reader;
}

const notice = (count: number) => `dropped ${count}\n`;

test('lines of one turn go out in order in one write', async () => {
  const reader = fakeReader();
  const queue = createLineQueue(reader.write, { notice });
  for (const line of ['a\n', 'b\n', 'c\n']) queue.push(line);
  assert.equal(reader.writes, 0);
  await queue.flush(1000);
  assert.equal(reader.got, 'a\nb\nc\n');
  assert.equal(reader.writes, 1);
});

test('a reader that takes a few bytes at a time gets complete lines', async () => {
  const reader = fakeReader(3);
  const queue = createLineQueue(reader.write, { notice });
  for (let i = 0; i < 50; i++) queue.push(`line ${i}\n`);
  await queue.flush(1000);
  assert.equal(reader.got, Array.from({ length: 50 }, (_, i) => `line ${i}\n`).join(''));
});

test('beyond the limit lines are dropped and counted, and a line reports them once the reader is back', async () => {
  const reader = fakeReader();
  reader.error = 'EAGAIN';
  const queue = createLineQueue(reader.write, { notice, limit: 25 });
  for (let i = 0; i < 5; i++) queue.push(`123456789${i}\n`);
  await queue.flush(20);
  assert.equal(queue.dropped(), 3);
  reader.error = undefined;
  await queue.flush(1000);
  assert.equal(reader.got, '1234567890\n1234567891\ndropped 3\n');
  queue.push('after\n');
  await queue.flush(1000);
  assert.equal(reader.got, '1234567890\n1234567891\ndropped 3\nafter\n');
  assert.equal(queue.dropped(), 3);
});

test('the limit counts bytes, what is half written included', async () => {
  const reader = fakeReader();
  reader.error = 'EAGAIN';
  const queue = createLineQueue(reader.write, { notice, limit: 10 });
  queue.push('ééé\n');
  await queue.flush(5);
  queue.push('abc\n');
  assert.equal(queue.dropped(), 1);
  queue.push('ab\n');
  assert.equal(queue.dropped(), 1);
  reader.error = undefined;
  await queue.flush(1000);
});

test('a stalled reader is tried again without being asked to', { timeout: 10_000 }, async () => {
  const reader = fakeReader();
  reader.error = 'EAGAIN';
  const backAtFifthWrite = (bytes: Uint8Array, offset: number) => {
    if (reader.writes === 4) reader.error = undefined;
    return reader.write(bytes, offset);
  };
  const queue = createLineQueue(backAtFifthWrite, { notice });
  queue.push('a\n');
  await queue.flush(60_000);
  assert.equal(reader.got, 'a\n');
});

test('flush gives up after its time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const reader = fakeReader();
  reader.error = 'EAGAIN';
  const queue = createLineQueue(reader.write, { notice });
  queue.push('a\n');
  let over = false;
  const flushed = queue.flush(30).then(() => {
    over = true;
  });
  t.mock.timers.tick(29);
  await Promise.resolve();
  assert.equal(over, false);
  t.mock.timers.tick(1);
  await flushed;
  assert.ok(reader.writes > 1, 'the reader was tried meanwhile');
  reader.error = undefined;
  queue.drain();
  assert.equal(reader.got, 'a\n');
});

test('a stalled reader is tried after 2 ms, then after twice as long each time, up to 50 ms', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setImmediate'] });
  const reader = fakeReader();
  reader.error = 'EAGAIN';
  const queue = createLineQueue(reader.write, { notice });
  queue.push('a\n');
  t.mock.timers.tick(0);
  for (const [i, ms] of [2, 4, 8, 16, 32, 50, 50].entries()) {
    t.mock.timers.tick(ms - 1);
    assert.equal(reader.writes, i + 1);
    t.mock.timers.tick(1);
    assert.equal(reader.writes, i + 2);
  }
  reader.error = undefined;
  t.mock.timers.tick(50);
  assert.equal(reader.got, 'a\n');
});

test('at exit a reader that takes nothing is waited for a quarter of a second, one that takes some for longer', (t) => {
  let ms = 0;
  t.mock.method(performance, 'now', () => ms);
  t.mock.method(Atomics, 'wait', (_: Int32Array, _index: number, _value: number, timeout: number) => {
    ms += timeout;
    return 'timed-out';
  });
  const stalled = fakeReader();
  stalled.error = 'EAGAIN';
  const queue = createLineQueue(stalled.write, { notice });
  queue.push('a\n');
  queue.drain();
  assert.ok(ms >= 240 && ms <= 250, `${ms} ms`);
  ms = 0;
  const slow = fakeReader(1);
  const oneByOne = createLineQueue(
    (bytes, offset) => {
      slow.error = slow.writes % 2 === 1 ? 'EAGAIN' : undefined;
      return slow.write(bytes, offset);
    },
    { notice },
  );
  const line = `${'x'.repeat(500)}\n`;
  oneByOne.push(line);
  oneByOne.drain();
  assert.equal(slow.got, line);
  assert.ok(ms > 250, `${ms} ms`);
  stalled.error = undefined;
  queue.drain();
});

test('a reader that has gone costs its lines and no more than one attempt', async () => {
  const reader = fakeReader();
  reader.error = 'EPIPE';
  const queue = createLineQueue(reader.write, { notice });
  queue.push('a\n');
  queue.push('b\n');
  await queue.flush(1000);
  queue.push('c\n');
  await queue.flush(1000);
  assert.equal(reader.writes, 1);
  assert.equal(queue.dropped(), 3);
});

test('after a full disk later lines are written, never behind half a line', async () => {
  const reader = fakeReader(3);
  const fullAtSecondWrite = (bytes: Uint8Array, offset: number) => {
    if (reader.writes === 1) reader.error = 'ENOSPC';
    return reader.write(bytes, offset);
  };
  const queue = createLineQueue(fullAtSecondWrite, { notice });
  queue.push('12345\n');
  queue.push('67\n');
  await queue.flush(1000);
  reader.error = undefined;
  queue.push('z\n');
  await queue.flush(1000);
  assert.equal(reader.got, '123\nz\ndropped 2\n');
});
