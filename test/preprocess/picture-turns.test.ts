import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JoinedTensor } from '../../functions/engine/process/frame.ts';
import { createPictureTurns, inTurns } from '../../functions/preprocess/picture-turns.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';

/** A runner with two free engines, whose runs end when the test says so. */
function runner() {
  const ends: (() => void)[] = [];
  let free = 2;
  let onFree = (): void => {};
  return {
    ends,
    free: () => free,
    working: () => 2,
    async run(_inputs: readonly JoinedTensor[]): Promise<Tensor[]> {
      free--;
      await new Promise<void>((resolve) => ends.push(resolve));
      free++;
      onFree();
      return [];
    },
    onFree(listener: () => void) {
      onFree = listener;
    },
    onFault() {},
  };
}

test('models decode no more pictures at the same time than there are turns, and the next begins when one ends', async () => {
  const turns = createPictureTurns(2);
  const [a, b] = [runner(), runner()];
  const [first, second] = [inTurns(a, turns), inTurns(b, turns)];
  const called: string[] = [];
  first.onFree(() => called.push('first'));
  second.onFree(() => called.push('second'));
  assert.deepEqual([first.free(), second.free()], [2, 2]);
  const running = [first.run([]), second.run([])];
  assert.deepEqual([first.free(), second.free()], [0, 0]);
  a.ends[0]!();
  await running[0];
  assert.ok(called.includes('second'), 'the other model is called when a turn is free');
  assert.equal(second.free(), 1);
  b.ends[0]!();
  await running[1];
  assert.deepEqual([first.free(), second.free()], [2, 2]);
});

test('a run that fails ends its turn, and models that wait are called by turns', async () => {
  const turns = createPictureTurns(1);
  const called: string[] = [];
  const failing = {
    ...runner(),
    run: (_inputs: readonly JoinedTensor[]): Promise<Tensor[]> => Promise.reject(new Error('crashed')),
  };
  const [first, second] = [inTurns(failing, turns), inTurns(runner(), turns)];
  first.onFree(() => called.push('first'));
  second.onFree(() => called.push('second'));
  await assert.rejects(first.run([]), /crashed/);
  assert.equal(first.free(), 1);
  await assert.rejects(first.run([]), /crashed/);
  assert.equal(called.filter((one, i) => i % 2 === 0 && one === 'second').length, 1, 'each is called first at times');
});

test('a model that is closed is not called any more', async () => {
  const turns = createPictureTurns(1);
  const called: string[] = [];
  const [first, second] = [
    inTurns(runner(), turns),
    inTurns({ ...runner(), run: async (_inputs: readonly JoinedTensor[]): Promise<Tensor[]> => [] }, turns),
  ];
  first.onFree(() => called.push('first'));
  second.onFree(() => called.push('second'));
  first.leave();
  await second.run([]);
  assert.deepEqual(called, ['second']);
});
