import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LONG_BYTES, ReadingMemory } from '../../functions/routes/reading-memory.ts';

const MIB = 2 ** 20;
const bodyOf = (size: number) => ({ size, memory: 0 });

test('a body counts ten times its size while it is read, and its result four times', () => {
  const memory = new ReadingMemory(200 * MIB);
  const body = bodyOf(4 * MIB);
  memory.startReading(body);
  assert.equal(body.memory, 40 * MIB);
  // Half of the 200 MiB is for bodies: 60 are left.
  assert.deepEqual([memory.fits(6 * MIB), memory.fits(6 * MIB + 1)], [true, false]);
  memory.keepResult(body);
  assert.equal(body.memory, 16 * MIB);
  assert.deepEqual([memory.fits(8.4 * MIB), memory.fits(8.5 * MIB)], [true, false]);
  memory.release(body);
  assert.deepEqual([memory.fits(10 * MIB), memory.fits(10 * MIB + 1)], [true, true], 'one body always fits');
});

test('one body alone fits, whatever its size and whatever the memory', () => {
  const memory = new ReadingMemory(1);
  assert.equal(memory.fits(2 ** 31), true);
  const body = bodyOf(3 * MIB);
  memory.startReading(body);
  assert.equal(memory.fits(1), false);
  memory.release(body);
  assert.equal(memory.fits(2 ** 31), true);
});

test('short bodies are not counted', () => {
  const memory = new ReadingMemory(1);
  const short = bodyOf(LONG_BYTES);
  memory.startReading(short);
  assert.deepEqual([short.memory, memory.fits(3 * MIB)], [0, true]);
  const long = bodyOf(LONG_BYTES + 1);
  memory.startReading(long);
  assert.equal(memory.fits(1), false);
});

test('where nothing limits the memory every body fits', () => {
  const memory = new ReadingMemory(undefined);
  for (let i = 0; i < 100; i++) {
    assert.equal(memory.fits(31 * MIB), true);
    memory.startReading(bodyOf(31 * MIB));
  }
});

test('after any sequence of calls nothing is counted once all bodies are released', () => {
  const step = fc.tuple(fc.nat(4), fc.constantFrom('startReading', 'keepResult', 'release'));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const memory = new ReadingMemory(1);
      const bodies = [1, 2, 3, 4, 5].map((size) => bodyOf(size * MIB));
      for (const [i, what] of steps) memory[what as 'release'](bodies[i]!);
      const counted = bodies.reduce((sum, body) => sum + body.memory, 0);
      assert.equal(memory.fits(1), counted === 0);
      for (const body of bodies) memory.release(body);
      assert.equal(memory.fits(2 ** 31), true);
    }),
  );
});
