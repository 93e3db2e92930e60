import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  readConnections,
  readCount,
  readDuration,
  readRate,
  readTolerance,
} from '../../../functions/cli/loadtest/options.ts';

test('durations have a unit, or are seconds', () => {
  const read = readDuration(0.1);
  assert.deepEqual(['10s', '500ms', '2m', '1h', '7', '0.5s'].map(read), [10, 0.5, 120, 3600, 7, 0.5]);
  for (const text of ['', 's', '-1s', '99ms', '61m', '1d', '1e3s', '10 s', 'Infinity', '0x10'])
    assert.throws(() => read(text), /It takes a duration such as 10s, 500ms or 2m/, text);
  assert.equal(readDuration(0)('0'), 0);
});

test('levels are bounded, and connections are whole', () => {
  assert.deepEqual(readConnections('1,2'), { kind: 'steps', values: [1, 2] });
  assert.deepEqual(readRate('0.5..10'), { kind: 'ramp', values: [0.5, 10] });
  for (const text of ['0.5', '20001', '1..99999', '1,2.5'])
    assert.throws(() => readConnections(text), /It takes a whole number/);
  for (const text of ['0', '1000001', 'x']) assert.throws(() => readRate(text), /It takes a number/);
});

test('counts and tolerances are numbers within their limits', () => {
  assert.equal(readCount(1, 64)('64'), 64);
  for (const text of ['0', '65', '1.5', '-1', '', '1e1'])
    assert.throws(() => readCount(1, 64)(text), /from 1 to 64/, text);
  assert.equal(readTolerance('1e-4'), 1e-4);
  for (const text of ['', '-1', 'x', 'Infinity']) assert.throws(() => readTolerance(text), /a number from 0/, text);
});
