import { merge } from '../values/merge.ts';
import {
  axisOf,
  carriesRows,
  isConstant,
  mixed,
  moved,
  newSize,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rules,
  unknown,
} from '../values/operation.ts';
import { isLost, type Tracked, type Value, withRows } from '../values/tracked-value.ts';

/** Part of the name of a size that may differ from element to element of a sequence. */
const OF_EACH = 'of each ';

/** SplitToSequence: the parts of a tensor along an axis. Exporters write `unbind` and `chunk` of PyTorch so. */
function splitToSequence(operation: Operation): Result {
  const [input, sizes] = operation.inputs as [Tracked, Tracked | undefined];
  if (!carriesRows(input)) return { ...ofConstants(operation), isSequence: true };
  if (carriesRows(sizes) || sizes?.counted) return mixed(operation, 'where it cuts depends on the rows');
  const axis = axisOf(operation.attributes.int('axis') ?? 0, input.shape?.length);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  if (axis === input.rows.axis) return mixed(operation, 'it cuts the rows apart');
  const keeps = sizes !== undefined || operation.attributes.int('keepdims') !== 0;
  const shape = keeps
    ? input.shape?.map((size, i) => (i === axis ? newSize(operation, `${OF_EACH}${axis}`) : size))
    : input.shape?.filter((_, i) => i !== axis);
  const place = input.rows.axis - (!keeps && axis < input.rows.axis ? 1 : 0);
  return { ...moved(input.rows, place, shape), isSequence: true };
}

function sequenceConstruct(operation: Operation): Result {
  const [first, ...others] = operation.inputs as [Tracked, ...Tracked[]];
  const value = others.reduce<Value>((all, one) => merge(operation, OF_EACH, all, one), first);
  return isLost(value) ? value : { ...value, elements: undefined, numbering: undefined, isSequence: true };
}

function sequenceAt(operation: Operation): Result {
  const [sequence, place] = operation.inputs as [Tracked, Tracked];
  if (!isConstant(place) || place.counted) return mixed(operation, 'which element it takes depends on the rows');
  const { isSequence: _, ...value } = sequence;
  const shape = value.shape?.map((size, axis) =>
    size.symbols.some((name) => name.includes(OF_EACH)) ? newSize(operation, axis) : size,
  );
  return { ...value, shape };
}

/** ConcatFromSequence: concatenates the elements of a sequence along an axis, or stacks them along a new one. */
function concatFromSequence(operation: Operation): Result {
  const [sequence] = operation.inputs as [Tracked];
  if (!carriesRows(sequence)) return ofConstants(operation);
  const isNew = operation.attributes.int('new_axis') === 1;
  const rank = sequence.shape && sequence.shape.length + (isNew ? 1 : 0);
  const axis = axisOf(operation.attributes.int('axis') ?? 0, rank);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  const { rows, shape } = sequence;
  const size = newSize(operation, axis);
  if (isNew) return moved(rows, rows.axis + (axis <= rows.axis ? 1 : 0), shape?.toSpliced(axis, 0, size));
  if (axis === rows.axis) return mixed(operation, 'it concatenates elements along the row axis');
  return withRows(
    rows,
    shape?.map((one, i) => (i === axis ? size : one)),
  );
}

/** Rules of the operators on sequences of tensors. */
export const SEQUENCES: Rules = {
  ConcatFromSequence: { takesSequences: true, apply: concatFromSequence },
  SequenceAt: { takesSequences: true, apply: sequenceAt },
  SequenceConstruct: { apply: sequenceConstruct },
  SplitToSequence: { apply: splitToSequence },
};
