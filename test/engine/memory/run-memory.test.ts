import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRunMemory, type MeasuredSlot } from '../../../functions/engine/memory/run-memory.ts';

const MIB = 2 ** 20;

/**
 * An engine of 50 MiB that keeps what its largest run took, in addition to what it had: `perByte` bytes for each byte of inputs in
 * the first run of a size, and as many in the second.
 */
function setUp({ limit = 1000 * MIB, perByte = 20, readable = true } = {}) {
  const sizes = new Map([[1, 50 * MIB]]);
  const state = { limit, now: 0, reads: 0 };
  const memory = createRunMemory(
    () => state.limit,
    (pid) => {
      state.reads++;
      return readable ? sizes.get(pid) : undefined;
    },
    () => state.now,
  );
  const slot = (pid: number): MeasuredSlot => ({ engine: { pid }, largestRun: 0, bytesBefore: undefined });
  const seen = new Map<string, number>();
  const run = (engine: MeasuredSlot, bytes: number): void => {
    const pid = engine.engine!.pid!;
    const grows = bytes >= engine.largestRun && (seen.get(`${pid} ${bytes}`) ?? 0) < 2;
    seen.set(`${pid} ${bytes}`, (seen.get(`${pid} ${bytes}`) ?? 0) + 1);
    memory.starts(engine, bytes);
    if (grows) sizes.set(pid, sizes.get(pid)! + perByte * bytes);
    memory.ended(engine);
  };
  return { memory, state, sizes, slot, run };
}

test('an engine above its limit that a run has not grown runs one row at a time', () => {
  const { memory, slot, run } = setUp({ limit: 40 * MIB, perByte: 0 });
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 1000);
  assert.equal(memory.mostBytes() <= 0, true, `${memory.mostBytes()}`);
});

test('what an engine grows by long after its largest run does not keep it at runs of that size', () => {
  const { memory, state, sizes, slot, run } = setUp({ limit: 200 * MIB });
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 1000);
  run(engine, 1000);
  for (let i = 0; i < 50; i++) {
    sizes.set(1, sizes.get(1)! + 2 * MIB);
    state.now += 1000;
    run(engine, 1000);
  }
  assert.ok(memory.mostBytes() > 64 * 1000, `${memory.mostBytes()}`);
});

test('before a run was measured, runs have one row; without a size that can be read, they are not bounded', () => {
  const { memory, slot } = setUp();
  assert.equal(memory.mostBytes(), Number.POSITIVE_INFINITY);
  memory.loaded(slot(1));
  assert.equal(memory.mostBytes(), 0);
  const unreadable = setUp({ readable: false });
  const engine = unreadable.slot(1);
  unreadable.memory.loaded(engine);
  unreadable.run(engine, MIB);
  assert.equal(unreadable.memory.mostBytes(), Number.POSITIVE_INFINITY);
});

test('a larger run is allowed only if what it takes fits beside what the engine has, and runs that fitted stay allowed', () => {
  const { memory, slot, run } = setUp();
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 12 * MIB);
  // 50 + 20 * 12 = 290: of the other 710 MiB, each MiB of inputs takes 20.
  assert.equal(memory.mostBytes(), 35.5 * MIB);
  run(engine, 12 * MIB);
  // The second run of the shape took as much again: 530, and 40 for each.
  assert.equal(memory.mostBytes(), 12 * MIB);
});

test('runs of a model with small tensors are not bounded once a few were measured', () => {
  const { memory, slot, run } = setUp({ perByte: 0 });
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 16);
  assert.ok(memory.mostBytes() > 1024 * MIB);
});

test('an engine beyond its limit gets smaller runs, in proportion, so that its replacement stays below', () => {
  const { memory, slot, run, state } = setUp();
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 20 * MIB);
  state.limit = 250 * MIB;
  run(engine, 16);
  // 450 MiB, 200 more than allowed: half of the growth.
  assert.equal(memory.mostBytes(), 10 * MIB);
});

test('an engine that has run less than another changes nothing', () => {
  const { memory, slot, run, sizes } = setUp();
  const [large, small] = [slot(1), slot(2)];
  sizes.set(2, 50 * MIB);
  memory.loaded(large);
  run(large, 12 * MIB);
  const before = memory.mostBytes();
  run(small, MIB);
  assert.equal(memory.mostBytes(), before);
});

test('the size of an engine is read around its largest runs, and else at most every 100 ms', () => {
  const { memory, slot, run, state } = setUp();
  const engine = slot(1);
  memory.loaded(engine);
  run(engine, 1000);
  run(engine, 1000);
  assert.equal(state.reads, 4, 'loaded, before and after the first, after the second');
  for (let i = 0; i < 1000; i++) run(engine, 1000);
  assert.equal(state.reads, 4);
  state.now += 100;
  for (let i = 0; i < 1000; i++) run(engine, 1000);
  assert.equal(state.reads, 5);
});
