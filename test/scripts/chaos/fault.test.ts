import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atLeast, atMost, judge } from '../../../scripts/chaos/fault.ts';
import { FAULTS } from '../../../scripts/chaos/faults.ts';
import { formatFindings } from '../../../scripts/chaos/report.ts';
import { sumOfSamples } from '../../../scripts/chaos/target.ts';

test('a bar of speed is met at its limit; the short form tolerates a miss', () => {
  for (const [quick, miss] of [
    [false, 'MISSED'],
    [true, 'tolerated'],
  ] as const) {
    assert.deepEqual(
      [0.9, 0.8, 0].map((value) => judge(value, atLeast(0.9), quick)),
      ['met', miss, miss],
    );
    assert.deepEqual(
      [2, 2.1, 100].map((value) => judge(value, atMost(2), quick)),
      ['met', miss, miss],
    );
  }
});

test('a figure that is no number is a miss in both forms', () => {
  for (const quick of [false, true]) assert.equal(judge(Number.NaN, atMost(1), quick), 'MISSED');
});

test('the table counts its verdicts', () => {
  const finding = { fault: 'f', bar: 'b', seen: '1' } as const;
  const text = formatFindings([
    { ...finding, verdict: 'met' },
    { ...finding, verdict: 'MISSED' },
    { ...finding, verdict: 'skipped' },
  ]);
  assert.match(text, /3 bars: 1 met, 1 missed, 0 tolerated, 1 skipped$/);
});

test('each fault has a name of its own', () => {
  assert.equal(new Set(FAULTS.map(({ name }) => name)).size, FAULTS.length);
});

test('samples of a metric are summed by name and label, without those of longer names', () => {
  const text = '# TYPE a counter\na{m="x"} 2\na{m="y"} 3\na_total{m="x"} 50\na 1\n';
  assert.equal(sumOfSamples(text, 'a'), 6);
  assert.equal(sumOfSamples(text, 'a', 'm="x"'), 2);
});
