import type { Comparison } from './compare-models.ts';

/**
 * Why the result differs by more than the tolerance; undefined if it does not. For a classifier the tolerance is the share of rows
 * that may get another class. For any other model it is the mean difference of each output, relative to max(1, |original|), and the
 * share of its integers and texts that may differ. A missing output and another shape are always beyond it.
 * @param tolerance from 0 to 1
 */
export function whyBeyond({ agreement, missing, outputs }: Comparison, tolerance: number): string | undefined {
  const [absent] = missing;
  if (absent !== undefined) return `the result has no output ${absent}`;
  const reshaped = outputs.find(({ otherShapes }) => otherShapes > 0);
  if (reshaped !== undefined) {
    return `output ${reshaped.output} has another shape for ${reshaped.otherShapes} of the rows`;
  }
  if (agreement !== undefined) {
    const differing = 1 - agreement.share;
    if (differing <= tolerance + ROUNDING) return undefined;
    return `${percent(differing)} of the rows get another class, and the tolerance is ${percent(tolerance)}`;
  }
  for (const { output, difference, elements, unequal } of outputs) {
    const by = difference?.meanRelative ?? unequal / Math.max(1, elements);
    if (by <= tolerance + ROUNDING) continue;
    const what = difference === undefined ? 'the share of elements that differ' : 'the mean relative difference';
    return `output ${output}: ${what} is ${by.toPrecision(3)}, and the tolerance is ${tolerance}`;
  }
  return undefined;
}

/** 1 - 0.99 is a little more than 0.01. */
const ROUNDING = 1e-12;

const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`;
