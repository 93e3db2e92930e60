import { isSameAxis } from '../values/merge.ts';
import { isRowNumber } from '../values/numbering.ts';
import {
  axisOf,
  carriesRows,
  DEPENDS_ON_PLACE,
  isConstant,
  mixed,
  moved,
  newSize,
  numbersFrom,
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
import { hasRows, isNumber, number, numberOf, type Size, sameSize } from '../values/size.ts';
import { extentOf, isPositional, type Tracked, withRows } from '../values/tracked-value.ts';

const AXES_UNKNOWN = 'its axes are not known';

/** Slice: a range along each of some axes. The range of the row axis must be the entire axis. */
function slice(operation: Operation): Result {
  const [data] = operation.inputs as [Tracked];
  const starts = bounds(operation, 1, 'starts');
  const ends = bounds(operation, 2, 'ends');
  const { shape, rows } = data;
  const steps = operation.inputs[4] === undefined ? undefined : numbersOf(operation.inputs[4]);
  if (operation.inputs.slice(1).some(carriesRows))
    return mixed(operation, 'where it cuts depends on the values of rows');
  const count = starts?.length ?? ends?.length;
  const given = numbersFrom(operation, 3, 'axes');
  const counted = given ?? (count === undefined ? 'unknown' : Array.from({ length: count }, (_, axis) => axis));
  const axes = counted === 'unknown' ? undefined : counted.map((axis) => axisOf(axis, shape?.length));
  if (axes === undefined || axes.includes(undefined) || (operation.inputs[4] !== undefined && steps === undefined)) {
    return rows === undefined ? ofConstants(operation) : unknown(operation, AXES_UNKNOWN);
  }
  const sizes = shape?.map((size, axis) => {
    const i = axes.indexOf(axis);
    return i === -1 ? size : slicedSize(operation, size, starts?.[i], ends?.[i], steps?.[i] ?? 1, axis);
  });
  if (rows === undefined) {
    const complete = sizes?.every((size) => size !== undefined) ? sizes : undefined;
    return ofElements(operation, complete, cut(data, axes as number[], starts, ends, steps));
  }
  const i = axes.indexOf(rows.axis);
  if (i !== -1 && !isEntireAxis(extentOf(rows), starts?.[i], ends?.[i], steps?.[i] ?? 1)) {
    return starts?.[i] === undefined || ends?.[i] === undefined
      ? unknown(operation, 'where it cuts the rows is not known')
      : mixed(operation, 'it cuts rows off');
  }
  for (const [axis, size] of sizes?.entries() ?? []) {
    if (size === undefined && axis !== rows.axis)
      return mixed(operation, 'where it cuts depends on the number of rows');
  }
  return withRows(rows, sizes as Size[] | undefined);
}

function bounds(operation: Operation, input: number, attribute: string): readonly (Size | undefined)[] | undefined {
  return operation.inputs[input] === undefined
    ? operation.attributes.ints(attribute)?.map(number)
    : operation.inputs[input].elements;
}

/** Exporters write the largest int64, int32 or a little less for the end of an axis. */
const END_OF_AXIS = 2 ** 31 - 1;

function isEntireAxis(size: Size, start: Size | undefined, end: Size | undefined, step: number): boolean {
  const last = numberOf(end);
  return step === 1 && isNumber(start, 0) && ((last !== undefined && last >= END_OF_AXIS) || sameSize(end, size));
}

/** The size of an axis after the slice; undefined if it depends on the number of rows. */
function slicedSize(
  operation: Operation,
  size: Size,
  start: Size | undefined,
  end: Size | undefined,
  step: number,
  axis: number,
): Size | undefined {
  if (isEntireAxis(size, start, end, step)) return size;
  if (operation.inputs.slice(1, 3).some((bound) => bound?.counted)) {
    const hasCount = [start, end].some((bound) => bound === undefined || hasRows(bound));
    if (hasCount) return undefined;
  }
  const [length, from, to] = [size, start, end].map(numberOf);
  if (length === undefined || from === undefined || to === undefined) return newSize(operation, axis);
  const clamp = (value: number, low: number, high: number): number =>
    Math.min(Math.max(value < 0 ? value + length : value, low), high);
  const count =
    step > 0 ? clamp(to, 0, length) - clamp(from, 0, length) : clamp(from, 0, length - 1) - clamp(to, -1, length - 1);
  return number(Math.max(0, Math.ceil(count / Math.abs(step))));
}

/** The elements of a sliced vector, or of the rows of a sliced matrix. */
function cut(
  { shape, elements }: Tracked,
  axes: readonly number[],
  starts: readonly (Size | undefined)[] | undefined,
  ends: readonly (Size | undefined)[] | undefined,
  steps: readonly number[] | undefined,
): readonly (Size | undefined)[] | undefined {
  const [start, end, step] = [numberOf(starts?.[0]), numberOf(ends?.[0]), steps?.[0] ?? 1];
  if (elements === undefined || start === undefined || end === undefined || axes.length !== 1 || axes[0] !== 0)
    return undefined;
  const [count, columns] = shape?.length === 1 ? [elements.length, 1] : shape?.length === 2 ? shape.map(numberOf) : [];
  if (count === undefined || columns === undefined) return undefined;
  const entries = Array.from({ length: count }, (_, row) => elements.slice(row * columns, (row + 1) * columns));
  const at = (value: number): number => (value < 0 ? value + count : value);
  if (step === 1) return entries.slice(Math.max(0, at(start)), Math.max(0, at(end))).flat();
  // All elements in reverse: exporters reverse paddings so.
  return step === -1 && at(start) === count - 1 && end <= -count - 1 ? entries.reverse().flat() : undefined;
}

function split(operation: Operation): Result {
  const [data] = operation.inputs as [Tracked];
  const axis = axisOf(operation.attributes.int('axis') ?? 0, data.shape?.length);
  if (!carriesRows(data)) return splitConstant(operation, data);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (axis === data.rows.axis) return mixed(operation, 'it cuts the rows apart');
  if (operation.inputs[1]?.rows !== undefined) return mixed(operation, 'where it cuts depends on the values of rows');
  const sizes = numbersFrom(operation, 1, 'split');
  return Array.from({ length: operation.outputs }, (_, piece) => {
    const even = numberOf(data.shape?.[axis]);
    const equal = even !== undefined && even % operation.outputs === 0 ? number(even / operation.outputs) : undefined;
    const given = Array.isArray(sizes) && sizes[piece] !== undefined ? number(sizes[piece]) : undefined;
    const size = given ?? (sizes === undefined ? equal : undefined) ?? newSize(operation, `${axis}:${piece}`);
    return moved(
      data.rows,
      data.rows.axis,
      data.shape?.map((one, i) => (i === axis ? size : one)),
    );
  });
}

/** Split of a constant. The elements of a vector are followed. */
function splitConstant(operation: Operation, { shape, elements }: Tracked): Result {
  const sizes = numbersFrom(operation, 1, 'split');
  if (elements === undefined || shape?.length !== 1 || sizes === 'unknown') return ofConstants(operation);
  const even = Math.ceil(elements.length / operation.outputs);
  const each = sizes ?? Array.from({ length: operation.outputs }, (_, i) => Math.min(even, elements.length - i * even));
  if (each.some((size) => size < 0)) return ofConstants(operation);
  let at = 0;
  return each.map((size) => {
    at += size;
    return ofElements(operation, [number(size)], elements.slice(at - size, at));
  });
}

function concat(operation: Operation): Result {
  const inputs = operation.inputs.filter((input) => input !== undefined);
  const rank = inputs.find(({ shape }) => shape !== undefined)?.shape?.length;
  const axis = axisOf(operation.attributes.int('axis') ?? 1, rank);
  const [first] = inputs.filter(carriesRows);
  if (first === undefined) return joined(operation, inputs);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (axis === first.rows.axis) return mixed(operation, 'it concatenates inputs along the row axis');
  for (const input of inputs) {
    if (!carriesRows(input)) return mixed(operation, 'an input of a fixed size meets the rows');
    if (!isSameAxis(input.rows, first.rows)) return mixed(operation, 'its inputs have their rows along different axes');
  }
  const value = withRows(first.rows, concatenated(operation, inputs, axis));
  const [leader] = inputs as [Tracked];
  if (!inputs.some(isPositional)) return value;
  const leads = axis + 1 === rank && isRowNumber(leader) && isNumber(leader.shape?.at(-1), 1);
  const plain = leads && !inputs.slice(1).some(isPositional);
  return plain ? { ...value, leadsWithRow: true } : mixed(operation, DEPENDS_ON_PLACE);
}

function concatenated(operation: Operation, inputs: readonly Tracked[], axis: number): Size[] | undefined {
  if (inputs.some(({ shape }) => shape === undefined)) return undefined;
  const sizes = inputs.map(({ shape }) => numberOf(shape![axis]));
  const known = sizes.every((size) => size !== undefined);
  const sum = known ? number(sizes.reduce((all, size) => all + size, 0)) : newSize(operation, axis);
  return inputs[0]!.shape!.map((size, i) => (i === axis ? sum : size));
}

/** Concat of constants. The elements of vectors are followed; those of an input that is not followed are undefined. */
function joined(operation: Operation, inputs: readonly Tracked[]): Result {
  const parts = inputs.map(({ shape, elements }) => {
    const count = shape?.length === 1 ? numberOf(shape[0]) : undefined;
    return elements ?? (count === undefined ? undefined : Array.from({ length: count }, () => undefined));
  });
  const axis = axisOf(operation.attributes.int('axis') ?? 1, inputs[0]?.shape?.length);
  const isVector = inputs.every(({ shape }) => shape?.length === 1);
  if (isVector && parts.every((part) => part !== undefined)) {
    const elements = parts.flat();
    return ofElements(operation, [number(elements.length)], elements);
  }
  return ofConstants(operation, axis === undefined ? undefined : concatenated(operation, inputs, axis));
}

function pad(operation: Operation): Result {
  const [data] = operation.inputs as [Tracked];
  if (!carriesRows(data)) return ofConstants(operation);
  const { shape, rows } = data;
  if (operation.inputs.slice(1).some(carriesRows)) return mixed(operation, 'its padding depends on the values of rows');
  const attribute = operation.attributes.ints('pads') ?? operation.attributes.ints('paddings');
  const pads = operation.inputs[1]?.elements ?? attribute?.map(number);
  const axes = operation.inputs[3] === undefined ? undefined : numbersOf(operation.inputs[3]);
  if (pads === undefined || (operation.inputs[3] !== undefined && axes === undefined)) {
    return unknown(operation, 'its padding is not known');
  }
  const half = pads.length / 2;
  const places = axes?.map((axis) => axisOf(axis, shape?.length)) ?? Array.from({ length: half }, (_, axis) => axis);
  if (places.includes(undefined)) return unknown(operation, RANK_UNKNOWN);
  if (new Set(places).size < places.length) return unknown(operation, 'an axis is named twice');
  const i = places.indexOf(rows.axis);
  if (i !== -1 && !(isNumber(pads[i], 0) && isNumber(pads[i + half], 0))) {
    return [pads[i], pads[i + half]].some((one) => numberOf(one) === undefined)
      ? unknown(operation, 'its padding is not known')
      : mixed(operation, 'it adds rows');
  }
  const sizes = shape?.map((size, axis) => {
    const place = places.indexOf(axis);
    const [before, after, length] = [pads[place], pads[place + half], size].map(numberOf);
    if (place === -1 || (before === 0 && after === 0)) return size;
    return [before, after, length].includes(undefined) ? newSize(operation, axis) : number(length! + before! + after!);
  });
  return withRows(rows, sizes);
}

/** Trilu: zeros on one side of a diagonal of the last two axes. */
function trilu(operation: Operation): Result {
  const [data, diagonal] = operation.inputs as [Tracked, Tracked | undefined];
  if (!carriesRows(data)) return ofConstants(operation, data.shape);
  if (carriesRows(diagonal)) return mixed(operation, 'its diagonal depends on the values of rows');
  if (data.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  if (data.rows.axis >= data.shape.length - 2)
    return mixed(operation, 'what it keeps of a row depends on its place in the run');
  return sameRows(data);
}

function reverseSequence(operation: Operation): Result {
  const [data, lengths] = operation.inputs as [Tracked, Tracked];
  const batch = operation.attributes.int('batch_axis') ?? 1;
  if (isConstant(data) && isConstant(lengths)) return ofConstants(operation, data.shape);
  if (!carriesRows(data) || !carriesRows(lengths) || data.rows.axis !== batch || lengths.rows.axis !== 0) {
    return mixed(operation, 'it reverses the order of the rows, or lengths of a fixed number meet them');
  }
  const isAlone = isNumber(data.rows.outer, 1) && isNumber(data.rows.inner, 1);
  return isAlone && isSameAxis({ ...lengths.rows, axis: batch }, data.rows)
    ? sameRows(data)
    : mixed(operation, 'its lengths are not one for each row');
}

function centerCropPad(operation: Operation): Result {
  const [data] = operation.inputs as [Tracked];
  const axes = operation.attributes.ints('axes')?.map((axis) => axisOf(axis, data.shape?.length));
  if (!carriesRows(data)) return ofConstants(operation);
  if (carriesRows(operation.inputs[1])) return mixed(operation, 'its sizes depend on the values of rows');
  if (axes?.includes(undefined)) return unknown(operation, RANK_UNKNOWN);
  if (axes === undefined || axes.includes(data.rows.axis)) return mixed(operation, 'it cuts rows off, or adds some');
  return withRows(
    data.rows,
    data.shape?.map((size, axis) => (axes.includes(axis) ? newSize(operation, axis) : size)),
  );
}

/** Rules of the operators that cut, concatenate or pad along axes. */
export const SLICES: Rules = {
  CenterCropPad: { apply: centerCropPad },
  Concat: { sizes: 'all', takesNumbers: true, apply: concat },
  Pad: { apply: pad },
  ReverseSequence: { apply: reverseSequence },
  Slice: { sizes: 'all', keepsNumbers: true, apply: slice },
  Split: { sizes: [0], apply: split },
  Trilu: { apply: trilu },
};
