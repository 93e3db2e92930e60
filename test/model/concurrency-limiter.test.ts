import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLimiter } from '../../functions/model/concurrency-limiter.ts';

test('work runs in the order of the calls, at most the limit at a time, and failed work gives its place to the next', async () => {
  const limited = createLimiter(2);
  const begun: number[] = [];
  const works = [0, 1, 2, 3].map(() => Promise.withResolvers<number>());
  const results = works.map(({ promise }, i) =>
    limited(() => {
      begun.push(i);
      return promise;
    }),
  );
  assert.deepEqual(begun, [0, 1]);
  works[1]!.reject(new Error('broken'));
  await assert.rejects(results[1]!, /broken/);
  assert.deepEqual(begun, [0, 1, 2]);
  works[2]!.resolve(2);
  assert.equal(await results[2], 2);
  assert.deepEqual(begun, [0, 1, 2, 3]);
  works[0]!.resolve(0);
  works[3]!.resolve(3);
  assert.deepEqual(await Promise.all([results[0], results[3]]), [0, 3]);
});

test('work that throws before its first await gives its place to the next', async () => {
  const limited = createLimiter(1);
  const thrown = limited(() => {
    throw new Error('at once');
  });
  await assert.rejects(thrown, /at once/);
  assert.equal(await limited(async () => 1), 1);
});
