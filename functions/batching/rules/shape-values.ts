import {
  DEPENDS_ON_COUNT,
  isUnclear,
  mixed,
  newSize,
  type Operation,
  ofElements,
  type Result,
  type Rules,
  unknown,
} from '../values/operation.ts';
import {
  hasRows,
  isInteger,
  number,
  numberOf,
  ONE,
  perRow,
  product,
  ROW_COUNT,
  type Size,
  sameSize,
} from '../values/size.ts';
import {
  constant,
  countedConstant,
  MAX_ELEMENTS,
  rowAxis,
  type Tracked,
  type Value,
  withRows,
} from '../values/tracked-value.ts';

/** Shape: the sizes of its input, from `start` to `end` (exclusive). */
function shape(operation: Operation): Result {
  const sizes = sizesOf(operation);
  // The shape of a value with rows contains their number; any other shape is equal in all runs.
  if (sizes === undefined) return dependsOnCount(operation) ? countedConstant() : constant();
  const at = (name: string, otherwise: number): number => {
    const value = operation.attributes.int(name) ?? otherwise;
    return Math.min(Math.max(value < 0 ? value + sizes.length : value, 0), sizes.length);
  };
  const some = sizes.slice(at('start', 0), at('end', sizes.length));
  return ofElements(operation, [number(some.length)], some);
}

/**
 * The sizes of its input. If that is a constant that depends on the number of rows, a size that is not known may depend on it
 * too, and is undefined here.
 */
function sizesOf({ inputs: [input] }: Operation): readonly (Size | undefined)[] | undefined {
  if (input?.counted !== true) return input?.shape;
  return input.shape?.map((size) => (numberOf(size) !== undefined || hasRows(size) ? size : undefined));
}

const dependsOnCount = ({ inputs: [input] }: Operation): boolean =>
  input?.rows !== undefined || input?.counted === true;

function size(operation: Operation): Result {
  const sizes = sizesOf(operation);
  if (sizes?.every((one) => one !== undefined)) return constant([], [product(sizes)]);
  return dependsOnCount(operation) ? countedConstant([]) : constant([]);
}

function constantOfShape(operation: Operation): Result {
  const sizes = operation.inputs[0]?.elements;
  const given = operation.attributes.tensor('value');
  const fill = given === undefined ? 0 : given.elements?.[0];
  if (sizes === undefined) return filled(operation, operation.inputs[0]!, undefined);
  const value = filled(operation, operation.inputs[0]!, sizes);
  if ('lost' in value || value.rows !== undefined) return value;
  const counts = sizes.map(numberOf);
  const count = counts.every((one) => one !== undefined) ? counts.reduce((all, one) => all * one, 1) : Number.NaN;
  const isKnown = fill !== undefined && count <= MAX_ELEMENTS;
  const elements = isKnown ? Array.from({ length: count }, () => number(fill)) : undefined;
  return constant(value.shape, elements);
}

/**
 * What is known of a tensor with the same value everywhere, of a computed shape: if one size is the number of rows, it has rows,
 * which are all equal.
 * @param from the tensor with the shape
 * @param sizes its elements; undefined if they are not followed
 */
export function filled(operation: Operation, from: Tracked, sizes: readonly (Size | undefined)[] | undefined): Value {
  if (isUnclear(from))
    return unknown(operation, 'a shape is computed from the number of rows in a way that is not followed');
  const shape = sizes?.map((one, axis) => one ?? newSize(operation, axis));
  const axes = shape?.flatMap((one, axis) => (hasRows(one) ? [axis] : [])) ?? [];
  if (axes.length === 0) return constant(shape);
  const inner = axes.length === 1 ? perRow(shape![axes[0]!]!) : undefined;
  if (inner === undefined) return mixed(operation, 'several sizes of its result are the number of rows');
  return withRows(rowAxis(axes[0]!, ONE, inner), shape);
}

/** Range: numbers from a start to a limit. If the limit is the number of rows, they are the numbers of the rows. */
function range(operation: Operation): Result {
  const [start, limit, delta] = operation.inputs.map((input) => input?.elements?.[0]);
  const values = [start, limit, delta].map(numberOf);
  // Floats would be rounded in the run.
  if (values.every(Number.isInteger)) {
    const [from, to, step] = values as [number, number, number];
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (count > MAX_ELEMENTS) return constant([number(count)]);
    return constant(
      [number(count)],
      Array.from({ length: count }, (_, i) => number(from + i * step)),
    );
  }
  const isPlain = numberOf(start) === 0 && numberOf(delta) === 1 && limit !== undefined && isInteger(limit);
  const isCount = isPlain && sameSize(limit, ROW_COUNT);
  if (isCount) return { ...withRows(rowAxis(0), [ROW_COUNT]), numbering: { stride: ONE, below: ONE } };
  if (operation.inputs.some((input) => input?.counted)) return mixed(operation, DEPENDS_ON_COUNT);
  return isPlain
    ? { ...constant([limit]), numbering: { stride: undefined, below: limit } }
    : constant([newSize(operation, 'length')]);
}

function constantNode(operation: Operation): Result {
  const { attributes } = operation;
  const tensor = attributes.tensor('value');
  if (tensor !== undefined) return constant(tensor.shape.map(number), tensor.elements?.map(number));
  const scalar = attributes.int('value_int') ?? attributes.float('value_float');
  if (scalar !== undefined) return constant([], [number(scalar)]);
  const list = attributes.ints('value_ints') ?? attributes.floats('value_floats');
  if (list !== undefined) return constant([number(list.length)], list.map(number));
  if (attributes.has('value_string')) return constant([]);
  if (attributes.has('value_strings')) return constant([number(attributes.texts('value_strings')!.length)]);
  return constant();
}

/** EyeLike: ones on a diagonal, so that a row depends on its place. */
function eyeLike(operation: Operation): Result {
  const [like] = operation.inputs;
  if (like?.rows !== undefined) return mixed(operation, 'each row of its result depends on its place in the run');
  return ofElements(operation, like?.shape, undefined);
}

/** Rules of the operators that give constants, shapes, and tensors of a computed shape. */
export const SHAPE_VALUES: Rules = {
  Constant: { apply: constantNode },
  ConstantOfShape: { sizes: [0], apply: constantOfShape },
  EyeLike: { apply: eyeLike },
  Range: { sizes: 'all', apply: range },
  Shape: { sizes: 'all', takesNumbers: true, readsSizesOnly: true, apply: shape },
  Size: { sizes: 'all', takesNumbers: true, readsSizesOnly: true, apply: size },
};
