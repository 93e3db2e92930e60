import { isSameAxis } from '../values/merge.ts';
import { picksOwnRow } from '../values/numbering.ts';
import {
  axisOf,
  carriesRows,
  DEPENDS_ON_COUNT,
  DEPENDS_ON_PLACE,
  isConstant,
  mixed,
  moved,
  newSize,
  numbersOf,
  type Operation,
  ofConstants,
  ofElements,
  RANK_UNKNOWN,
  type Result,
  type Rules,
  sameRows,
  unknown,
} from '../values/operation.ts';
import { numberOf } from '../values/size.ts';
import { isPositional, rowAxis, type Tracked, withRows } from '../values/tracked-value.ts';

const PICKS_ROWS = 'it picks single rows by their places';

/** Gather: entries of `data` along `axis`, by the indices in `indices`. */
function gather(operation: Operation): Result {
  const [data, indices] = operation.inputs as [Tracked, Tracked];
  const axis = axisOf(operation.attributes.int('axis') ?? 0, data.shape?.length);
  const rank = indices.shape?.length;
  if (isPositional(data)) return mixed(operation, DEPENDS_ON_PLACE);
  const known = axis !== undefined && data.shape && indices.shape;
  const shape = known ? [...data.shape!.slice(0, axis), ...indices.shape!, ...data.shape!.slice(axis + 1)] : undefined;
  if (carriesRows(data) && carriesRows(indices)) {
    return axis === data.rows.axis && picksOwnRow(indices, data.rows)
      ? moved(indices.rows, axis + indices.rows.axis, shape)
      : mixed(operation, 'each row may take entries of the others');
  }
  if (isPositional(indices)) return mixed(operation, DEPENDS_ON_PLACE);
  if ((carriesRows(data) || carriesRows(indices)) && (data.counted || indices.counted)) {
    return mixed(operation, DEPENDS_ON_COUNT);
  }
  if (carriesRows(indices)) {
    return axis === undefined ? unknown(operation, RANK_UNKNOWN) : moved(indices.rows, axis + indices.rows.axis, shape);
  }
  if (!carriesRows(data)) return ofElements(operation, shape, picked(data, indices));
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (axis === data.rows.axis) return mixed(operation, PICKS_ROWS);
  if (data.rows.axis < axis) return moved(data.rows, data.rows.axis, shape);
  return rank === undefined ? unknown(operation, RANK_UNKNOWN) : moved(data.rows, data.rows.axis + rank - 1, shape);
}

/** The elements of a vector that `indices` pick. */
function picked({ shape, elements }: Tracked, indices: Tracked): Tracked['elements'] {
  const places = numbersOf(indices);
  if (elements === undefined || places === undefined || shape?.length !== 1) return undefined;
  return places.map((place) => elements[place < 0 ? place + elements.length : place]);
}

/** GatherElements: for each place of `indices`, the entry of `data` whose index along one axis is the value there. */
function gatherElements(operation: Operation): Result {
  const [data, indices] = operation.inputs as [Tracked, Tracked];
  const axis = axisOf(operation.attributes.int('axis') ?? 0, data.shape?.length ?? indices.shape?.length);
  if (isConstant(data) && isConstant(indices)) return ofConstants(operation, indices.shape);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (carriesRows(data) && carriesRows(indices)) {
    if (!isSameAxis(data.rows, indices.rows))
      return mixed(operation, 'its inputs have their rows along different axes');
    if (axis === data.rows.axis) return mixed(operation, 'each row may take entries of the others');
    return sameRows(indices);
  }
  if (carriesRows(indices) && axis === indices.rows.axis) return sameRows(indices);
  return mixed(operation, 'an input of a fixed size meets the rows');
}

/** GatherND: slices of `data`, by the coordinates along the last axis of `indices`. */
function gatherND(operation: Operation): Result {
  const [data, indices] = operation.inputs as [Tracked, Tracked];
  const batch = operation.attributes.int('batch_dims') ?? 0;
  const rank = indices.shape?.length;
  const depth = numberOf(indices.shape?.at(-1));
  const shape =
    rank !== undefined && depth !== undefined && data.shape
      ? [...indices.shape!.slice(0, -1), ...data.shape.slice(batch + depth)]
      : undefined;
  if (isPositional(data)) return mixed(operation, DEPENDS_ON_PLACE);
  if (isConstant(data) && isConstant(indices)) return ofConstants(operation, shape);
  if (rank === undefined || depth === undefined) return unknown(operation, RANK_UNKNOWN);
  if (carriesRows(data) && carriesRows(indices)) {
    if (indices.leadsWithRow === true && batch === 0 && isSameAxis(data.rows, rowAxis(0))) {
      return indices.rows.axis < rank - 1
        ? moved(indices.rows, indices.rows.axis, shape)
        : unknown(operation, RANK_UNKNOWN);
    }
    if (isPositional(indices)) return mixed(operation, DEPENDS_ON_PLACE);
    const inBatch = isSameAxis(data.rows, indices.rows) && data.rows.axis < batch;
    return inBatch
      ? moved(data.rows, data.rows.axis, shape)
      : mixed(operation, 'each row may take entries of the others');
  }
  if (isPositional(indices)) return mixed(operation, DEPENDS_ON_PLACE);
  if (carriesRows(indices)) {
    if (indices.rows.axis === rank - 1) return mixed(operation, 'the rows are coordinates of one entry');
    if (indices.rows.axis < batch) return mixed(operation, 'an input of a fixed size meets the rows');
    return moved(indices.rows, indices.rows.axis, shape);
  }
  const { rows } = data as Tracked & { rows: { axis: number } };
  if (rows.axis < batch + depth) return mixed(operation, PICKS_ROWS);
  return moved(data.rows!, rank - 1 + rows.axis - batch - depth, shape);
}

/** ScatterElements: `data` with `updates` in places whose index along one axis is the value of `indices`. */
function scatterElements(operation: Operation): Result {
  const [data, indices, updates] = operation.inputs as [Tracked, Tracked, Tracked];
  if ([data, indices, updates].every(isConstant)) return ofConstants(operation, data.shape);
  const axis = axisOf(operation.attributes.int('axis') ?? 0, data.shape?.length);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (!carriesRows(data) || !carriesRows(indices) || !carriesRows(updates)) {
    return mixed(operation, 'an input of a fixed size meets the rows');
  }
  const { rows } = data;
  if (axis === rows.axis || !isSameAxis(indices.rows, rows) || !isSameAxis(updates.rows, rows)) {
    return mixed(operation, 'rows may be written to the places of others');
  }
  return sameRows(data);
}

/** Compress: the entries of an axis for which a condition is true. */
function compress(operation: Operation): Result {
  const [data, condition] = operation.inputs as [Tracked, Tracked];
  if (isConstant(data) && isConstant(condition)) return ofConstants(operation);
  const given = operation.attributes.int('axis');
  const axis = given === undefined ? undefined : axisOf(given, data.shape?.length);
  if (carriesRows(condition) || given === undefined)
    return mixed(operation, 'how many entries it gives depends on the data');
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (axis === data.rows!.axis) return mixed(operation, PICKS_ROWS);
  return withRows(
    data.rows!,
    data.shape?.map((size, i) => (i === axis ? newSize(operation, axis) : size)),
  );
}

/** OneHot: a new axis with a one in the place of each index, and zeros elsewhere. */
function oneHot(operation: Operation): Result {
  const [indices, depth, values] = operation.inputs as [Tracked, Tracked, Tracked];
  if (!carriesRows(indices))
    return isConstant(depth) && isConstant(values)
      ? ofConstants(operation)
      : mixed(operation, 'its depth or values depend on rows');
  if (carriesRows(depth) || carriesRows(values)) return mixed(operation, 'its depth or values depend on rows');
  const rank = indices.shape && indices.shape.length + 1;
  const axis = axisOf(operation.attributes.int('axis') ?? -1, rank);
  if (axis === undefined) {
    const isLast = (operation.attributes.int('axis') ?? -1) === -1;
    return isLast ? moved(indices.rows, indices.rows.axis) : unknown(operation, RANK_UNKNOWN);
  }
  const shape = indices.shape?.toSpliced(axis, 0, depth.elements?.[0] ?? newSize(operation, 'depth'));
  return moved(indices.rows, indices.rows.axis + (axis <= indices.rows.axis ? 1 : 0), shape);
}

/** Rules of the operators that pick or write entries by their indices. */
export const SELECTION: Rules = {
  Compress: { apply: compress },
  Gather: { sizes: 'all', takesNumbers: true, apply: gather },
  GatherElements: { apply: gatherElements },
  GatherND: { takesNumbers: true, apply: gatherND },
  OneHot: { apply: oneHot },
  ScatterElements: { apply: scatterElements },
};
