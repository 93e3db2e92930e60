import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutputDifference } from '../../../functions/cli/compare/differences.ts';
import { whyUnequal } from '../../../functions/cli/edited/before-after.ts';

const comparison = (...outputs: Partial<OutputDifference>[]) =>
  ({ outputs: outputs.map((one) => ({ output: 'y', elements: 10, unequal: 0, otherShapes: 0, ...one })) }) as never;
const by = (largestRelative: number) => ({ largest: 1, mean: 0, largestRelative, meanRelative: 0 });

test('floats may differ up to the tolerance, relative to max(1, |original|)', () => {
  assert.equal(whyUnequal(comparison({ unequal: 9, difference: by(1e-4) }), 1e-4), undefined);
  assert.match(
    whyUnequal(comparison({ unequal: 9, difference: by(1.5e-4) }), 1e-4)!,
    /^output y differs by 0\.000150, .*; the tolerance is 0\.0001$/,
  );
  assert.match(whyUnequal(comparison({ difference: by(Number.POSITIVE_INFINITY) }), 1)!, /differs by Infinity/);
});

test('integers and texts must be equal, and every shape', () => {
  assert.equal(whyUnequal(comparison({}, {}), 0), undefined);
  assert.equal(
    whyUnequal(comparison({}, { output: 'label', unequal: 1 }), 1),
    'output label differs in 1 of its elements',
  );
  assert.match(whyUnequal(comparison({ otherShapes: 2, difference: by(0) }), 1)!, /another shape for 2 of the rows/);
});
