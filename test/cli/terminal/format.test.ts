import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatBytes,
  formatCount,
  formatMs,
  formatNumberOf,
  formatShare,
  printable,
} from '../../../functions/cli/terminal/format.ts';

test('bytes have a decimal unit', () => {
  assert.deepEqual([0, 999, 1000, 1_540_000, 2e9, 5e12].map(formatBytes), [
    '0 bytes',
    '999 bytes',
    '1.0 kB',
    '1.5 MB',
    '2.0 GB',
    '5000.0 GB',
  ]);
});

test('times have three digits, and a unit that suits them', () => {
  assert.deepEqual([0.0234, 1.234, 12.34, 99.96, 999.4, 999.6, 61_234, 125_000].map(formatMs), [
    '0.023 ms',
    '1.23 ms',
    '12.3 ms',
    '100 ms',
    '999 ms',
    '1.00 s',
    '61.2 s',
    '2 min 5 s',
  ]);
});

test('counts have commas, and a noun that agrees', () => {
  assert.equal(formatCount(1234567.4), '1,234,567');
  assert.deepEqual([formatNumberOf(1, 'row'), formatNumberOf(2000, 'row')], ['1 row', '2,000 rows']);
  assert.equal(formatNumberOf(0, 'entry', 'entries'), '0 entries');
  assert.equal(formatShare(0.1234), '12.3 %');
});

test('control characters of a text become escapes, so that a name in a file cannot write over the screen', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u202ed'), 'a\\u001b[2Jb\\u000ac\\u202ed');
  assert.equal(printable('størrelse 大きさ'), 'størrelse 大きさ');
});
