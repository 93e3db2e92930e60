import { mixed, newSize, type Operation, unknown } from './operation.ts';
import { sameSize } from './size.ts';
import {
  constant,
  countedConstant,
  isLost,
  isPositional,
  type Numbering,
  type RowAxis,
  type Tracked,
  type Value,
  withRows,
} from './tracked-value.ts';

/**
 * What is known of a value that is one of two: of either branch of an If, or of any round of a Loop.
 * @param place makes the names of new sizes distinct within the operation
 */
export function merge(operation: Operation, place: string | number, a: Value, b: Value): Value {
  if (isLost(a)) return a;
  if (isLost(b)) return b;
  if (isSame(a, b)) return a;
  const isSpecial = [a, b].some((one) => isPositional(one) || one.padding !== undefined || one.isSequence === true);
  if (isSpecial) return unknown(operation, 'its result is of another kind in some runs');
  const shape =
    a.shape?.length === b.shape?.length
      ? a.shape?.map((size, axis) => (sameSize(size, b.shape?.[axis]) ? size : newSize(operation, `${place}:${axis}`)))
      : undefined;
  if (a.rows === undefined && b.rows === undefined) {
    return a.counted || b.counted ? countedConstant(shape) : constant(shape);
  }
  if (!isSameAxis(a.rows, b.rows)) return mixed(operation, 'its result follows the rows in some runs only');
  return withRows(a.rows!, shape);
}

/** Whether the same is known of two values. */
export function isSame(a: Value, b: Value): boolean {
  if (isLost(a) || isLost(b)) return a === b;
  return (
    a.counted === b.counted &&
    a.padding === b.padding &&
    a.isSequence === b.isSequence &&
    a.leadsWithRow === b.leadsWithRow &&
    isSameNumbering(a.numbering, b.numbering) &&
    isSameAxis(a.rows, b.rows) &&
    isSameList(a.shape, b.shape) &&
    isSameList(a.elements, b.elements)
  );
}

/** Whether the rows have the same places in two values; also true if neither has rows. */
export function isSameAxis(a: RowAxis | undefined, b: RowAxis | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.axis === b.axis && sameSize(a.outer, b.outer) && sameSize(a.inner, b.inner);
}

function isSameNumbering(a: Numbering | undefined, b: Numbering | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return isSameList([a.stride], [b.stride]) && sameSize(a.below, b.below);
}

function isSameList(a: Tracked['elements'], b: Tracked['elements']): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.length === b.length && a.every((size, i) => sameSize(size, b[i]) || (size === undefined && b[i] === undefined))
  );
}
