import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command, Link, Reply } from '../../../../functions/model/sources/redis/connection.ts';
import { createFillLock, isLockValue } from '../../../../functions/model/sources/redis/fill-lock.ts';

/** What the scripts do is tried on a real Redis; here is what is done with their answers. */
function fakeLink(replies: (Reply | undefined)[]) {
  const sent: Command[] = [];
  const send = async (command: Command): Promise<Reply | undefined> => {
    sent.push(command);
    return replies.length === 0 ? 1 : replies.shift();
  };
  const link: Link = { ask: send, store: send, isLeftAlone: () => false, isClosedToStores: () => false, close() {} };
  return { link, sent };
}

test('reads of one process that ask at once share the lock', async () => {
  const { link, sent } = fakeLink([1]);
  const lock = createFillLock(link, 'key', 1_000);
  assert.deepEqual(await Promise.all([lock.take(), lock.take()]), ['taken', 'taken']);
  assert.equal(await lock.take(), 'held');
  assert.equal(sent.length, 1);
  await lock.release();
});

test("what Redis does not say is not taken for another's lock", async () => {
  const { link } = fakeLink([0, undefined, 'WRONGTYPE', null]);
  const lock = createFillLock(link, 'key', 1_000);
  assert.equal(await lock.take(), 'theirs');
  for (let n = 0; n < 3; n++) assert.equal(await lock.take(), undefined);
});

test('while it is held it is renewed, with the number of chunks that were stored', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { link, sent } = fakeLink([]);
  const lock = createFillLock(link, 'key', 60_000);
  await lock.take();
  lock.progress();
  lock.progress();
  t.mock.timers.tick(20_000);
  t.mock.timers.tick(20_000);
  assert.equal(sent.length, 3);
  const [, , , key, token, count, term] = sent[2]!;
  assert.deepEqual([key, count, term], ['key', '2', '60000']);
  assert.ok(isLockValue(Buffer.from(`${token}${count}`)));
  await lock.release();
  t.mock.timers.tick(60_000);
  assert.equal(sent.length, 4, 'the release, and nothing after it');
});

test('a lock that was lost is known to be, and is taken anew', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { link } = fakeLink([1, 0, 0]);
  const lock = createFillLock(link, 'key', 60_000);
  await lock.take();
  t.mock.timers.tick(20_000);
  await new Promise(setImmediate);
  assert.equal(await lock.take(), 'theirs');
});

test('a lock that could not be renewed within its term is not held', async () => {
  const { link } = fakeLink([1, undefined, undefined, undefined, undefined, undefined]);
  const lock = createFillLock(link, 'key', 30);
  await lock.take();
  const end = performance.now() + 31;
  while (performance.now() < end) await new Promise(setImmediate);
  assert.equal(await lock.take(), undefined);
});

test('one that is not held is not released', async () => {
  const { link, sent } = fakeLink([0]);
  const lock = createFillLock(link, 'key', 1_000);
  await lock.take();
  await lock.release();
  assert.equal(sent.length, 1);
});
