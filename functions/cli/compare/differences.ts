import { type Tensor, type TensorSpec, valuesOf } from '../../tensor/tensor.ts';

/** How the elements of one output differ between two models, over all rows. */
export interface OutputDifference {
  readonly output: string;
  /** Elements that were compared. */
  readonly elements: number;
  /** Elements that are not equal. NaN equals NaN. */
  readonly unequal: number;
  /** Rows for which the output has another shape in the result; their elements are not compared. */
  readonly otherShapes: number;
  /** Of floating-point elements. Infinity where one model gives a number and the other none. */
  readonly difference?: FloatDifference;
}

/** Differences of floating-point elements. */
export interface FloatDifference {
  /** The largest and the mean of |result - original|. */
  readonly largest: number;
  readonly mean: number;
  /** The same of |result - original| / max(1, |original|): the measure of the tolerance in golden.json. */
  readonly largestRelative: number;
  readonly meanRelative: number;
}

/** Collects the differences of one output, row by row. */
export interface DifferenceCollector {
  add(original: Tensor, result: Tensor): void;
  summary(): OutputDifference;
}

/** Creates the collector of an output. @param spec of the original model */
export function collectDifferences({ name, dtype }: TensorSpec): DifferenceCollector {
  const isFloat = dtype.startsWith('float');
  let [elements, unequal, otherShapes] = [0, 0, 0];
  let [largest, total, largestRelative, totalRelative] = [0, 0, 0, 0];
  return {
    add(original, result) {
      if (original.dims.join() !== result.dims.join()) {
        otherShapes++;
        return;
      }
      const left = valuesOf(original);
      const right = valuesOf(result);
      elements += left.length;
      for (let at = 0; at < left.length; at++) {
        const a = left[at]!;
        const b = right[at]!;
        if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
        unequal++;
        if (!isFloat) continue;
        const by = distance(Number(a), Number(b));
        const relative = by / Math.max(1, Math.abs(Number(a)) || 1);
        largest = Math.max(largest, by);
        largestRelative = Math.max(largestRelative, relative);
        total += by;
        totalRelative += relative;
      }
    },
    summary() {
      const summary = { output: name, elements, unequal, otherShapes };
      if (!isFloat) return summary;
      const count = Math.max(1, elements);
      const difference = { largest, mean: total / count, largestRelative, meanRelative: totalRelative / count };
      return { ...summary, difference };
    },
  };
}

/** Infinity if one of two different numbers is not finite. */
function distance(a: number, b: number): number {
  return Number.isFinite(a) && Number.isFinite(b) ? Math.abs(b - a) : Number.POSITIVE_INFINITY;
}
