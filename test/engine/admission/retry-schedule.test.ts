import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRetrySchedule } from '../../../functions/engine/admission/retry-schedule.ts';

test('each refused client gets a time after those before it, at a rate below the capacity', () => {
  const schedule = createRetrySchedule(() => 0);
  const seconds = Array.from({ length: 100 }, () => schedule.reserve(0, 80));
  // 80 ms of work for each, a fifth of the capacity left for others: ten a second.
  assert.deepEqual(
    seconds,
    Array.from({ length: 100 }, (_, i) => Math.floor(i / 10) + 1),
  );
});

test('rows that are queued come first', () => {
  assert.equal(createRetrySchedule(() => 0).reserve(7400, 80), 8);
});

test('times that have passed are free again', () => {
  let now = 0;
  const schedule = createRetrySchedule(() => now);
  for (let i = 0; i < 100; i++) schedule.reserve(0, 80);
  now = 9500;
  assert.equal(schedule.reserve(0, 80), 1);
});

test('a client is told at least a second and at most ten minutes', () => {
  const schedule = createRetrySchedule(() => 0);
  assert.equal(schedule.reserve(0, 0), 1);
  for (let i = 0; i < 1000; i++) assert.ok(schedule.reserve(0, 10_000) <= 600);
});
