import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, unmeasured } from '../../../scripts/bench/summary.ts';
import { figure, table, verdictTable } from '../../../scripts/bench/table.ts';

test('columns line up, the first to the left and figures to the right', () => {
  const text = table(
    ['who', 'rate'],
    [
      ['a', '1'],
      ['long name', '1000'],
    ],
  );
  assert.equal(text, ['  who        rate', '  ---------  ----', '  a             1', '  long name  1000'].join('\n'));
});

test('a number has three significant digits, and all digits of its integer part', () => {
  assert.deepEqual([12345.6, 123.4, 12.34, 1.234, 0.1234, 0, Number.NaN].map(figure), [
    '12346',
    '123',
    '12.3',
    '1.23',
    '0.123',
    '0.00',
    '-',
  ]);
});

test('the summary says what was asked, what came out, and by how much a bar is missed', () => {
  const bar = { want: 'at least', limit: 2, unit: 'x', of: 'rate / base' } as const;
  const lines = verdictTable([
    judge('fast', bar, { median: 3, min: 2.5, max: 4 }),
    judge('slow', bar, { median: 1.5, min: 1.5, max: 1.5 }),
    unmeasured('gone', bar, 'no build'),
  ]).split('\n');
  assert.match(lines[2]!, /fast +rate \/ base +>= 2\.00x +3\.00x \(2\.50 to 4\.00\) +met by 50 %$/);
  assert.match(lines[3]!, /slow +rate \/ base +>= 2\.00x +1\.50x +MISSED by 25 %$/);
  assert.match(lines[4]!, /gone .* - +not measured: no build$/);
});
