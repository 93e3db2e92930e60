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

test('runs do not grow beyond the rows that save time, once they take long', () => {
  const times = createRunTimes(64, () => 1);
  for (const rows of [1, 2, 4, 8, 16, 32]) times.record(rows, 60 * rows);
  assert.equal(times.usefulRows(), 1);
  assert.equal(times.drainMs(64), 64 * 60, 'the wait counts on runs of that size');
});

test('long runs grow as far as each row takes a tenth less time', () => {
  const times = createRunTimes(64, () => 1);
  for (const rows of [1, 2, 4, 8, 16, 32, 64]) times.record(rows, 40 + 10 * rows);
  // 11.25 ms a row of 32, and 10.6 of 64.
  assert.equal(times.usefulRows(), 63);
});

test('short runs grow without a limit, whatever the times of single runs were', () => {
  const times = createRunTimes(64, () => 1);
  for (const [rows, ms] of [
    [1, 0.1],
    [2, 3],
    [64, 20],
  ] as const)
    times.record(rows, ms);
  assert.equal(times.usefulRows(), 64);
});

test('sizes that were not seen are tried one after the other, unless a run is expected to be short', () => {
  const times = createRunTimes(64, () => 1);
  assert.equal(times.usefulRows(), 64, 'nothing is known');
  times.record(1, 60);
  assert.equal(times.usefulRows(), 3);
  times.record(3, 90);
  assert.equal(times.usefulRows(), 7, 'three rows took half the time a row');
  times.record(7, 210);
  assert.equal(times.usefulRows(), 3, 'seven took no less');
  const short = createRunTimes(64, () => 1);
  short.record(1, 10);
  assert.equal(short.usefulRows(), 5);
});

test('one run of a hundred may have twice the rows, so that a change is noticed', () => {
  const times = createRunTimes(64, () => 1);
  times.record(1, 100);
  times.record(2, 400);
  const limits = Array.from({ length: 200 }, times.usefulRows);
  assert.deepEqual(
    limits.flatMap((rows, i) => (rows === 1 ? [] : [[i, rows]])),
    [
      [99, 2],
      [199, 2],
    ],
  );
});
