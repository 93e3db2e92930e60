import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRunTimes } from '../../../functions/engine/admission/run-times.ts';

test('nothing is predicted before the first run has ended', () => {
  const times = createRunTimes(64, () => 2);
  assert.deepEqual([times.runMs(1), times.drainMs(1000)], [0, 0]);
});

test('rows that run alone drain one run after the other on each engine', () => {
  let engines = 2;
  const times = createRunTimes(1, () => engines);
  times.record(1, 50);
  assert.equal(times.drainMs(40), 1000);
  engines = 4;
  assert.equal(times.drainMs(40), 500);
  engines = 0;
  assert.equal(times.drainMs(40), 2000, 'an engine that is replaced will take them');
});

test('joined rows drain in runs of the size that is allowed, at the duration of runs of that size', () => {
  const times = createRunTimes(64, () => 1);
  times.record(1, 2);
  times.record(64, 10);
  assert.deepEqual([times.runMs(1), times.runMs(64)], [2, 10]);
  assert.equal(times.drainMs(640), 100);
});

test('runs that limits of bytes keep small are not counted on to grow beyond twice their size', () => {
  const times = createRunTimes(64, () => 1);
  times.record(2, 10);
  assert.equal(times.drainMs(64), 160);
});

test('a size that was not seen takes the duration of the nearest smaller one, or of the nearest larger', () => {
  const times = createRunTimes(64, () => 1);
  times.record(8, 5);
  times.record(32, 9);
  assert.deepEqual([16, 31, 40, 1].map(times.runMs), [5, 5, 9, 5]);
});

test('an estimate follows a change of speed, and one slow run does not change it much', () => {
  const times = createRunTimes(1, () => 1);
  for (let i = 0; i < 10; i++) times.record(1, 10);
  times.record(1, 100);
  assert.ok(times.runMs(1) < 25);
  for (let i = 0; i < 30; i++) times.record(1, 100);
  assert.ok(times.runMs(1) > 95);
});
