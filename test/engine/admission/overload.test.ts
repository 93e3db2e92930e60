import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOverload } from '../../../functions/engine/admission/overload.ts';

function setUp(runMs = 50) {
  const clock = { now: 0 };
  const overload = createOverload(
    () => runMs,
    () => clock.now,
  );
  return { clock, overload };
}

test('clients that wait patiently are no overload, however long the queue is', () => {
  const { overload } = setUp();
  overload.served(100);
  overload.lost(5);
  assert.equal(overload.update(60_000), false);
});

test('an overload begins when more than a tenth of the rows is lost while others wait for long', () => {
  const { overload } = setUp();
  overload.served(40);
  overload.lost(10);
  assert.equal(overload.update(400), false, 'the queue is short: the clients had other reasons');
  assert.equal(overload.update(600), true);
  assert.equal(overload.isActive(), true);
});

test('it lasts while rows are lost, and ends within seconds after the last', () => {
  const { clock, overload } = setUp();
  overload.lost(100);
  overload.update(600);
  for (let second = 1; second <= 5; second++) {
    clock.now = second * 1000;
    overload.served(40);
    overload.lost(10);
    assert.equal(overload.update(100), true, `second ${second}`);
  }
  for (let second = 6; second <= 9; second++) {
    clock.now = second * 1000;
    overload.served(40);
    overload.update(100);
  }
  assert.equal(overload.isActive(), false);
});

test('it ends when the queue is empty, and what was lost before does not start another', () => {
  const { overload } = setUp();
  overload.lost(100);
  overload.update(600);
  assert.equal(overload.update(0), false);
  assert.equal(overload.update(600), false);
});

test('the target keeps engines busy for two runs, and is half of the time that clients wait before they leave', () => {
  assert.equal(setUp(50).overload.targetMs(), 500);
  assert.equal(setUp(2000).overload.targetMs(), 4000);
  const { overload } = setUp(50);
  for (let i = 0; i < 100; i++) overload.left(1, 400);
  assert.equal(Math.round(overload.targetMs()), 200);
  for (let i = 0; i < 100; i++) overload.left(1, 60_000);
  assert.equal(overload.targetMs(), 500);
});

test('for a minute after an overload in which clients left, a wait nearly as long as theirs is one at once', () => {
  const { clock, overload } = setUp(50);
  for (let i = 0; i < 10; i++) overload.left(1, 5000);
  assert.equal(overload.update(4500), true);
  overload.update(0);
  clock.now = 59_000;
  assert.equal(overload.update(3900), false);
  assert.equal(overload.update(4100), true);
  overload.update(0);
  clock.now = 61_000;
  assert.equal(overload.update(4100), false);
});

test('a client that leaves, without an overload, does not shorten the wait of others', () => {
  const { overload } = setUp(50);
  overload.served(100);
  overload.left(1, 200);
  assert.equal(overload.update(5000), false);
});
