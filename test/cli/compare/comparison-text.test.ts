import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Comparison } from '../../../functions/cli/compare/compare-models.ts';
import { comparisonLines } from '../../../functions/cli/compare/comparison-text.ts';

const COMPARISON: Comparison = {
  rows: 400,
  agreement: { output: 'label', equal: 398, of: 400, share: 0.995 },
  outputs: [
    { output: 'label', elements: 400, unequal: 2, otherShapes: 0 },
    {
      output: 'probabilities',
      elements: 4000,
      unequal: 4000,
      otherShapes: 0,
      difference: { largest: 0.51234, mean: 0.000123456, largestRelative: 0.5, meanRelative: 0.0000123456 },
    },
  ],
  missing: [],
  original: {
    bytes: 4e6,
    runMs: 1,
    joining: { enabled: true, decidedBy: 'proof', reason: 'the graph keeps rows apart' },
  },
  result: {
    bytes: 1e6,
    runMs: 0.5,
    joining: { enabled: true, decidedBy: 'proof', reason: 'the graph keeps rows apart' },
  },
};

test('a comparison is two tables, the share of equal classes, and whether rows are joined', () => {
  assert.deepEqual(comparisonLines(COMPARISON), [
    'compared over 400 rows:',
    '                original    result',
    '  size            4.0 MB    1.0 MB  0.250 x',
    '  run of a row   1.00 ms  0.500 ms  2.00 x as fast',
    '',
    '  output         largest difference      mean   relative',
    '  label             2 of 400 differ',
    '  probabilities               0.512  0.000123  0.0000123',
    '',
    'the same class for 398 of 400 rows (99.5 %), by output label',
    'rows of different requests share a run: the graph keeps rows apart',
  ]);
});

test('what is worse is said: slower, another shape, no number, a missing output, rows that are not joined', () => {
  const { agreement: _, ...rest } = COMPARISON;
  const lines = comparisonLines({
    ...rest,
    outputs: [
      {
        output: 'y',
        elements: 1,
        unequal: 1,
        otherShapes: 1,
        difference: {
          largest: Number.POSITIVE_INFINITY,
          mean: Number.POSITIVE_INFINITY,
          largestRelative: Number.POSITIVE_INFINITY,
          meanRelative: Number.POSITIVE_INFINITY,
        },
      },
    ],
    missing: ['z'],
    result: { bytes: 8e6, runMs: 3, joining: { enabled: false, decidedBy: 'proof', reason: 'one scale for all rows' } },
  });
  assert.match(lines[2]!, /8\.0 MB {2}2\.00 x$/);
  assert.match(lines[3]!, /3\.00 x as long$/);
  assert.match(lines[6]!, /not finite {2}not finite {2}not finite {2}another shape for 1 row$/);
  assert.deepEqual(lines.slice(7), [
    '  the result has no output z',
    '',
    'rows of different requests no longer share a run: one scale for all rows',
  ]);
});
