import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ShortFirstQueue } from '../../functions/routes/short-first.ts';

test('short items go first, equal ones in their order', () => {
  const queue = new ShortFirstQueue<string>();
  queue.push('long', 100);
  queue.push('first', 10);
  queue.push('second', 10);
  assert.deepEqual([queue.take(), queue.take(), queue.take(), queue.take()], ['first', 'second', 'long', undefined]);
});

test('where only short items are wanted, long ones stay', () => {
  const queue = new ShortFirstQueue<string>();
  queue.push('long', 100);
  assert.equal(queue.take(99), undefined);
  queue.push('short', 99);
  assert.deepEqual([queue.take(99), queue.length, queue.take()], ['short', 1, 'long']);
});

test('an item is overtaken by no more later work than its own size', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.constant('take' as const)), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (steps) => {
      const queue = new ShortFirstQueue<{ size: number; overtaken: number; came: number }>();
      const waiting = new Set<{ size: number; overtaken: number; came: number }>();
      const takeOne = () => {
        const item = queue.take();
        if (item === undefined) return;
        waiting.delete(item);
        assert.ok(item.overtaken <= item.size, `${item.overtaken} before ${item.size}`);
        for (const other of waiting) if (other.came < item.came) other.overtaken += item.size;
      };
      for (const [came, step] of steps.entries()) {
        if (step === 'take') takeOne();
        else {
          const item = { size: step, overtaken: 0, came };
          waiting.add(item);
          queue.push(item, step);
        }
      }
      while (queue.length > 0) takeOne();
      assert.equal(waiting.size, 0);
    }),
  );
});

test('what is removed is not taken', () => {
  const queue = new ShortFirstQueue<string>();
  for (const item of ['a', 'b', 'c']) queue.push(item, 1);
  assert.deepEqual(
    queue.removeAll((item) => item !== 'b'),
    ['a', 'c'],
  );
  assert.deepEqual([queue.length, queue.take(), queue.take()], [1, 'b', undefined]);
});
