import type { Operation } from './operation.ts';
import { hasRows, isNumber, number, numberOf, ONE, plus, type Size, sameSize, times } from './size.ts';
import type { Numbering, RowAxis, Tracked } from './tracked-value.ts';

/*
 * Exporters write `x[arange(rows), places]` as entries of a flattened tensor by computed numbers: row × size + place. The
 * entries are those of the row itself if every place is below the size.
 */

/** What is known of the integers that Add, Mul or Mod computes from two inputs; undefined for any other operator. */
export function computedNumbers({ type, inputs, attributes }: Operation): Numbering | undefined {
  const [a, b] = inputs;
  if (a === undefined || b === undefined || inputs.length !== 2) return undefined;
  if (type === 'Add') return added(numbersOf(a), numbersOf(b));
  if (type === 'Mul') return multiplied(numbersOf(a), factorOf(b)) ?? multiplied(numbersOf(b), factorOf(a));
  // The sign is that of the divisor.
  const divisor = type === 'Mod' && attributes.int('fmod') !== 1 ? factorOf(b) : undefined;
  return divisor && { stride: undefined, below: divisor };
}

/** The numbering of a value, or that of a constant whose elements are known integers. */
function numbersOf({ elements, numbering, rows }: Tracked): Numbering | undefined {
  if (numbering !== undefined || rows !== undefined) return numbering;
  const values = elements?.map(numberOf);
  if (!values?.every((value) => value !== undefined && value >= 0 && Number.isInteger(value))) return undefined;
  return { stride: undefined, below: number(Math.max(0, ...(values as number[])) + 1) };
}

/** The factor of a multiplication: one positive number for all elements, the same in every run. */
function factorOf({ elements }: Tracked): Size | undefined {
  const factor = elements?.length === 1 ? elements[0] : undefined;
  return factor === undefined || factor.factor <= 0 || hasRows(factor) ? undefined : factor;
}

function added(a: Numbering | undefined, b: Numbering | undefined): Numbering | undefined {
  if (a === undefined || b === undefined || (a.stride !== undefined && b.stride !== undefined)) return undefined;
  const stride = a.stride ?? b.stride;
  if (isNumber(a.below, 1)) return { stride, below: b.below };
  if (isNumber(b.below, 1)) return { stride, below: a.below };
  const sum = plus(a.below, b.below);
  const below = sum && plus(sum, ONE, -1);
  return below && { stride, below };
}

function multiplied(numbers: Numbering | undefined, factor: Size | undefined): Numbering | undefined {
  if (numbers === undefined || factor === undefined) return undefined;
  const { stride, below } = numbers;
  return {
    stride: stride && times(stride, factor),
    below: isNumber(below, 1) ? below : times(below, factor),
  };
}

/** Whether numbers pick, for each row, entries of that row along an axis that carries the rows. */
export function picksOwnRow({ numbering }: Tracked, { outer, inner }: RowAxis): boolean {
  if (numbering?.stride === undefined || !isNumber(outer, 1) || !sameSize(numbering.stride, inner)) return false;
  const { below } = numbering;
  if (isNumber(below, 1) || sameSize(below, inner)) return true;
  const [most, size] = [numberOf(below), numberOf(inner)];
  return most !== undefined && size !== undefined && most <= size;
}

/** Whether each number is that of its row in the run, from 0 on. */
export const isRowNumber = ({ numbering }: Tracked): boolean =>
  numbering?.stride !== undefined && isNumber(numbering.stride, 1) && isNumber(numbering.below, 1);
