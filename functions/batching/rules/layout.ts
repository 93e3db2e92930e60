import {
  axisOf,
  carriesRows,
  DEPENDS_ON_COUNT,
  isUnclear,
  mixed,
  moved,
  newSize,
  numbersFrom,
  type Operation,
  ofConstants,
  ofElements,
  RANK_UNKNOWN,
  type Result,
  type Rules,
  unknown,
  type WithRows,
} from '../values/operation.ts';
import {
  divided,
  hasRows,
  isNumber,
  number,
  numberOf,
  ONE,
  perRow,
  product,
  type Size,
  sameSize,
  times,
} from '../values/size.ts';
import { extentOf, isLost, type Lost, rowAxis, type Tracked, type Value, withRows } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';
import { filled } from './shape-values.ts';

const CUTS_ROWS = 'its shape cuts rows apart, or puts elements of several into one';
const SHAPE_UNKNOWN = 'the shape of its result is computed in a way that is not followed';

function transpose(operation: Operation): Result {
  const [input] = operation.inputs;
  const rank = input!.shape?.length;
  const order = operation.attributes.ints('perm') ?? (rank === undefined ? undefined : reversed(rank));
  if (order === undefined) return carriesRows(input) ? unknown(operation, RANK_UNKNOWN) : ofConstants(operation);
  const shape = input!.shape && order.map((axis) => input!.shape![axis]!);
  if (carriesRows(input)) return moved(input.rows, order.indexOf(input.rows.axis), shape);
  return ofElements(operation, shape, transposed(input!, order));
}

const reversed = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => rank - 1 - axis);

/** The elements of a transposed matrix or vector; of a higher rank they are not followed. */
function transposed({ shape, elements }: Tracked, order: readonly number[]): Tracked['elements'] {
  if (order.every((axis, i) => axis === i)) return elements;
  const [rows, columns] = shape?.map(numberOf) ?? [];
  if (elements === undefined || order.length !== 2 || rows === undefined || columns === undefined) return undefined;
  return elements.map((_, i) => elements[(i % rows) * columns + Math.floor(i / rows)]);
}

function reshape(operation: Operation): Result {
  const [input, target] = operation.inputs;
  const elements = target?.elements ?? operation.attributes.ints('shape')?.map(number);
  if (target?.rows !== undefined) return mixed(operation, 'its shape depends on the values of rows');
  if (elements === undefined) return carriesRows(input) ? unknown(operation, SHAPE_UNKNOWN) : ofConstants(operation);
  const copiesZero = operation.attributes.int('allowzero') !== 1;
  const copied = elements.map((size, axis) => (copiesZero && isNumber(size, 0) ? sizeAt(input!, axis) : size));
  if (carriesRows(input)) {
    return isUnclear(target) ? unknown(operation, SHAPE_UNKNOWN) : regrouped(operation, input, copied);
  }
  const shape = inferred(operation, input!.shape, copied);
  if (input!.counted || !shape.some(hasRows)) return ofElements(operation, shape, input!.elements);
  return mixed(operation, 'a constant takes a shape with the number of rows in it');
}

function sizeAt({ shape, rows }: Tracked, axis: number): Size | undefined {
  return rows?.axis === axis ? extentOf(rows) : shape?.[axis];
}

/** A shape with the size in the place of -1. */
function inferred(
  operation: Operation,
  from: readonly Size[] | undefined,
  target: readonly (Size | undefined)[],
): Size[] {
  const others = target.filter((size) => !isNumber(size, -1));
  const rest =
    from !== undefined && others.every((size) => size !== undefined)
      ? divided(product(from), product(others))
      : undefined;
  return target.map((size, axis) => (isNumber(size, -1) ? rest : size) ?? newSize(operation, axis));
}

/**
 * The rows of a value in another shape of the same elements: they lie along the axis that has the number of rows in its size, and
 * each must still start at the same element. @param target an undefined size is not followed
 */
function regrouped(operation: Operation, input: WithRows, target: readonly (Size | undefined)[]): Value {
  const { rows, shape } = input;
  const leading = shape === undefined ? leadingOf(rows.axis) : shape.slice(0, rows.axis);
  if (leading === undefined) return unknown(operation, RANK_UNKNOWN);
  const before = times(product(leading), rows.outer);
  const sizes = withOpenSize(operation, shape, target);
  if (!Array.isArray(sizes)) return sizes;
  const axes = sizes.flatMap((size, axis) => (size !== undefined && hasRows(size) ? [axis] : []));
  if (axes.length === 0) {
    if (sizes.some((size) => size === undefined)) return unknown(operation, SHAPE_UNKNOWN);
    return mixed(operation, 'its shape fixes how many rows there are');
  }
  if (axes.length > 1) return mixed(operation, 'several sizes of its shape are the number of rows');
  const [axis] = axes as [number];
  const ahead = sizes.slice(0, axis);
  const outer = ahead.every((size) => size !== undefined) ? divided(before, product(ahead)) : undefined;
  const perAxis = perRow(sizes[axis]!);
  const inner = outer && perAxis && divided(perAxis, outer);
  if (inner === undefined) return mixed(operation, CUTS_ROWS);
  const complete = sizes.map((size, i) => size ?? newSize(operation, i));
  const by =
    isNumber(outer!, 1) && isNumber(inner, 1) ? {} : { by: { operator: operation.type, node: operation.node } };
  return withRows({ ...rowAxis(axis, outer, inner), ...by }, complete);
}

/** The axes before the rows, if nothing is known of the shape: known only for rows along the first. */
const leadingOf = (axis: number): Size[] | undefined => (axis === 0 ? [] : undefined);

/** The target with the size in the place of -1, if it is known. */
function withOpenSize(
  operation: Operation,
  shape: readonly Size[] | undefined,
  target: readonly (Size | undefined)[],
): (Size | undefined)[] | Lost {
  const open = target.findIndex((size) => isNumber(size, -1));
  const others = target.filter((_, axis) => axis !== open);
  const filledIn = (size: Size): (Size | undefined)[] => target.map((one, axis) => (axis === open ? size : one));
  if (open === -1) return [...target];
  // Another size has the number of rows, so that this one is equal in all runs.
  if (others.some((size) => size !== undefined && hasRows(size))) return filledIn(newSize(operation, open));
  if (shape === undefined || !others.every((size) => size !== undefined)) return unknown(operation, SHAPE_UNKNOWN);
  const [all, known] = [product(shape), product(others)];
  const rest = divided(all, known);
  if (rest !== undefined) return filledIn(rest);
  const inNumbers = [perRow(all), known].every((size) => numberOf(size) !== undefined);
  return inNumbers ? mixed(operation, CUTS_ROWS) : unknown(operation, SHAPE_UNKNOWN);
}

/** Flatten: a matrix of the axes before `axis` and those from it on. */
function flatten(operation: Operation): Result {
  const [input] = operation.inputs;
  const { shape } = input!;
  if (shape === undefined) return carriesRows(input) ? unknown(operation, RANK_UNKNOWN) : ofConstants(operation);
  const axis = axisOf(operation.attributes.int('axis') ?? 1, shape.length)!;
  const target = [product(shape.slice(0, axis)), product(shape.slice(axis))];
  if (input!.padding !== undefined) {
    // With axis 1 a matrix stays as it is.
    return axis === 1 && shape.length === 2
      ? input!
      : mixed(operation, 'its input is padded to the longest row of the run');
  }
  return carriesRows(input) ? regrouped(operation, input, target) : ofElements(operation, target, input!.elements);
}

function squeeze(operation: Operation): Result {
  const [input] = operation.inputs;
  const { shape, rows } = input!;
  const rank = shape?.length;
  const given = numbersFrom(operation, 1, 'axes');
  if (given === 'unknown')
    return carriesRows(input) ? unknown(operation, 'its axes are not known') : ofConstants(operation);
  // onnxruntime treats an empty list of axes as a missing one.
  if (given === undefined || given.length === 0) {
    if (carriesRows(input)) return mixed(operation, 'without axes, it removes the row axis if a run has one row');
    const remaining = shape?.every((size) => numberOf(size) !== undefined)
      ? shape.filter((size) => !isNumber(size, 1))
      : undefined;
    return ofElements(operation, remaining, input!.elements);
  }
  const axes = given.map((axis) => axisOf(axis, rank));
  if (rows === undefined)
    return ofElements(
      operation,
      shape?.filter((_, axis) => !axes.includes(axis)),
      input!.elements,
    );
  if (axes.includes(undefined)) return unknown(operation, RANK_UNKNOWN);
  if (axes.includes(rows.axis)) return mixed(operation, 'it removes the row axis');
  const before = axes.filter((axis) => axis! < rows.axis).length;
  return moved(
    rows,
    rows.axis - before,
    shape?.filter((_, axis) => !axes.includes(axis)),
  );
}

function unsqueeze(operation: Operation): Result {
  const [input] = operation.inputs;
  const { shape, rows } = input!;
  const given = numbersFrom(operation, 1, 'axes');
  if (given === 'unknown' || given === undefined) {
    return carriesRows(input) ? unknown(operation, 'its axes are not known') : ofConstants(operation);
  }
  const rank = shape && shape.length + given.length;
  const axes = given.map((axis) => axisOf(axis, rank));
  if (axes.includes(undefined))
    return carriesRows(input) ? unknown(operation, RANK_UNKNOWN) : ofElements(operation, undefined, input!.elements);
  const sizes = shape && inserted(shape, axes as number[]);
  if (rows === undefined) return ofElements(operation, sizes, input!.elements);
  let axis = rows.axis;
  for (const added of axes.toSorted((a, b) => a! - b!)) if (added! <= axis) axis++;
  return moved(rows, axis, sizes);
}

function inserted(shape: readonly Size[], axes: readonly number[]): Size[] {
  const sizes = [...shape];
  for (const axis of axes.toSorted((a, b) => a - b)) sizes.splice(axis, 0, ONE);
  return sizes;
}

/** Expand: broadcasts to a shape. */
function expand(operation: Operation): Result {
  const [input, target] = operation.inputs;
  if (target?.rows !== undefined) return mixed(operation, 'its shape depends on the values of rows');
  if (!carriesRows(input)) return expandedConstant(operation, input!, target!);
  const sizes = target?.elements;
  const length = sizes?.length ?? numberOf(target?.shape?.[0]);
  if (isUnclear(target) || length === undefined) return unknown(operation, SHAPE_UNKNOWN);
  const shape = Array.from({ length }, (_, axis) => sizes?.[axis] ?? newSize(operation, axis));
  if (input.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  const rank = Math.max(shape.length, input.shape.length);
  const axis = input.rows.axis + rank - input.shape.length;
  const own = axis - rank + shape.length;
  for (const [i, size] of shape.entries()) {
    if (i !== own && hasRows(size)) return mixed(operation, 'it repeats rows as many times as there are rows');
  }
  const wanted = own < 0 ? ONE : shape[own]!;
  if (!isNumber(wanted, 1) && !sameSize(wanted, extentOf(input.rows))) {
    return sizes?.[own] === undefined
      ? unknown(operation, SHAPE_UNKNOWN)
      : mixed(operation, 'its shape fixes how many rows there are');
  }
  const result = Array.from({ length: rank }, (_, i) => {
    const [size, target] = [input.shape![i - rank + input.shape!.length] ?? ONE, shape[i - rank + shape.length] ?? ONE];
    return broadcastSize(operation, i, size, target);
  });
  return moved(input.rows, axis, result);
}

/** A size that is broadcast with one of the target: the larger one if either is 1. A target that is not a number may be 1. */
function broadcastSize(operation: Operation, axis: number, size: Size, target: Size): Size {
  if (isNumber(target, 1) || sameSize(size, target)) return size;
  return isNumber(size, 1) || numberOf(target) !== undefined ? target : newSize(operation, `stretched ${axis}`);
}

/** Expand of a constant. If the number of rows is in the shape, every row gets the same. */
function expandedConstant(operation: Operation, input: Tracked, target: Tracked): Value {
  const full = filled(operation, target, target.elements);
  return isLost(full) ? full : broadcast(operation, [input, full]);
}

function tile(operation: Operation): Result {
  const [input, repeats] = operation.inputs;
  const counts = repeats?.elements;
  if (!carriesRows(input)) return tiledConstant(operation, input!, counts);
  if (repeats?.rows !== undefined) return mixed(operation, 'its repeats depend on the values of rows');
  const { rows, shape } = input;
  const repeatedRows = counts?.[rows.axis];
  if (isUnclear(repeats) || repeatedRows === undefined) return unknown(operation, 'its repeats are not known');
  if (counts!.some((size) => size !== undefined && hasRows(size))) return mixed(operation, DEPENDS_ON_COUNT);
  const sizes = shape?.map((size, axis) =>
    counts![axis] === undefined ? newSize(operation, axis) : times(size, counts![axis]!),
  );
  return withRows(rowAxis(rows.axis, times(repeatedRows, rows.outer), rows.inner), sizes);
}

/** Tile of a constant. If an axis is repeated as often as there are rows, every row gets the same. */
function tiledConstant(operation: Operation, input: Tracked, counts: readonly (Size | undefined)[] | undefined): Value {
  if (counts === undefined || input.shape === undefined || input.counted) return ofConstants(operation);
  const sizes = input.shape.map((size, axis) =>
    counts[axis] === undefined ? newSize(operation, axis) : times(size, counts[axis]),
  );
  const axes = sizes.flatMap((size, axis) => (hasRows(size) ? [axis] : []));
  if (axes.length === 0)
    return operation.inputs[1]!.counted ? ofConstants(operation) : ofElements(operation, sizes, undefined);
  const [axis] = axes as [number];
  const inner = axes.length === 1 ? perRow(sizes[axis]!) : undefined;
  if (inner === undefined) return mixed(operation, DEPENDS_ON_COUNT);
  return withRows(rowAxis(axis, ONE, inner), sizes);
}

/** DepthToSpace and SpaceToDepth: move elements between the channels, axis 1, and the axes after it. */
function channelsToPlaces(operation: Operation): Result {
  const [input] = operation.inputs;
  if (!carriesRows(input)) return ofConstants(operation);
  if (input.rows.axis !== 0) return mixed(operation, 'it moves elements between the axes after the first');
  return withRows(
    input.rows,
    input.shape?.map((size, axis) => (axis === 0 ? size : newSize(operation, axis))),
  );
}

/** Rules of the operators that change the shape, or repeat or move elements, without changing them. */
export const LAYOUT: Rules = {
  DepthToSpace: { apply: channelsToPlaces },
  Expand: { keepsNumbers: true, sizes: [1], apply: expand },
  Flatten: { keepsNumbers: true, padded: true, sizes: 'all', apply: flatten },
  Reshape: { keepsNumbers: true, sizes: 'all', apply: reshape },
  SpaceToDepth: { apply: channelsToPlaces },
  Squeeze: { keepsNumbers: true, sizes: 'all', apply: squeeze },
  Tile: { sizes: [1], apply: tile },
  Transpose: { keepsNumbers: true, sizes: 'all', apply: transpose },
  Unsqueeze: { keepsNumbers: true, sizes: 'all', apply: unsqueeze },
};
