import { isSameAxis } from '../values/merge.ts';
import {
  carriesRows,
  mixed,
  moved,
  newSize,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rules,
  unknown,
  type WithRows,
} from '../values/operation.ts';
import { isNumber, ONE, type Size } from '../values/size.ts';
import { isLost, rowAxis, type Tracked, type Value, withRows } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';

const SUMS_ROWS = 'it sums over the rows';

interface Operands {
  readonly a: Tracked;
  readonly b: Tracked;
  readonly transposesA?: boolean;
  readonly transposesB?: boolean;
}

/**
 * What is known of the product of matrices by the rules of numpy.matmul: it sums over the last axis of `a` and the last but one of
 * `b`, and broadcasts the axes before them.
 */
export function multiply(operation: Operation, operands: Operands): Value {
  const { a, b } = operands;
  if (!carriesRows(a) && !carriesRows(b)) return ofConstants(operation);
  const [rankA, rankB] = [a.shape?.length, b.shape?.length];
  if (!rankA || !rankB) return unknown(operation, RANK_UNKNOWN);
  const left = asMatrices(a, rankA, operands.transposesA === true, 'left');
  const right = asMatrices(b, rankB, operands.transposesB === true, 'right');
  if (left === undefined || right === undefined) return mixed(operation, SUMS_ROWS);
  const rank = Math.max(left.shape!.length, right.shape!.length);
  // With the size 1 along the summed axes, the result has the shape of an elementwise operator's broadcasting.
  const value = broadcast(operation, [
    withoutSummed(left, left.shape!.length - 1),
    withoutSummed(right, right.shape!.length - 2),
  ]);
  if (isLost(value)) return value;
  const dropped = [...(rankA === 1 ? [rank - 2] : []), ...(rankB === 1 ? [rank - 1] : [])];
  if (dropped.includes(value.rows!.axis)) return mixed(operation, SUMS_ROWS);
  const before = dropped.filter((axis) => axis < value.rows!.axis).length;
  return moved(
    value.rows!,
    value.rows!.axis - before,
    value.shape?.filter((_, axis) => !dropped.includes(axis)),
  );
}

/** An operand as matrices, a transposed one swapped. Undefined if the axis that is summed over carries the rows. */
function asMatrices(value: Tracked, rank: number, transposes: boolean, side: 'left' | 'right'): Tracked | undefined {
  const shape = [...value.shape!];
  let axis = value.rows?.axis;
  if (rank === 1) {
    if (axis !== undefined) return undefined;
    if (side === 'left') shape.unshift(ONE);
    else shape.push(ONE);
  } else if (transposes) {
    const [last, other] = [shape.pop()!, shape.pop()!];
    shape.push(last, other);
    if (axis !== undefined && axis >= rank - 2) axis = axis === rank - 1 ? rank - 2 : rank - 1;
  }
  const summed = shape.length - (side === 'left' ? 1 : 2);
  if (axis === summed) return undefined;
  return axis === undefined ? { ...value, shape } : { ...moved(value.rows!, axis, shape), counted: value.counted };
}

/** The value with the size 1 along the axis that is summed over. */
function withoutSummed(value: Tracked, summed: number): Tracked {
  return { ...value, shape: value.shape!.map((size, axis) => (axis === summed ? ONE : size)) };
}

function matMul(operation: Operation): Result {
  const [a, b] = operation.inputs as [Tracked, Tracked];
  return multiply(operation, { a, b });
}

/** FusedMatMul: MatMul with a scale and with transposed matrices. */
function fusedMatMul(operation: Operation): Result {
  const [a, b] = operation.inputs as [Tracked, Tracked];
  const { attributes } = operation;
  if (attributes.int('transBatchA') === 1 || attributes.int('transBatchB') === 1) {
    return unknown(operation, 'it moves the batch axes');
  }
  return multiply(operation, {
    a,
    b,
    transposesA: attributes.int('transA') === 1,
    transposesB: attributes.int('transB') === 1,
  });
}

/** Gemm: `A × B + C` of matrices. */
function gemm(operation: Operation): Result {
  const [a, b, c] = operation.inputs as [Tracked, Tracked, Tracked | undefined];
  const product = multiply(operation, {
    a: asMatrix(operation, a, 'a'),
    b: asMatrix(operation, b, 'b'),
    transposesA: operation.attributes.int('transA') === 1,
    transposesB: operation.attributes.int('transB') === 1,
  });
  if (isLost(product) || c === undefined) return product;
  // The result has the shape of the product.
  if (carriesRows(c) && !carriesRows(product)) return mixed(operation, 'a product of a fixed size meets the rows');
  return broadcast(operation, [product, c]);
}

/** An operand of Gemm always has two axes, even if its shape is not known. */
function asMatrix(operation: Operation, value: Tracked, name: string): Tracked {
  if (value.shape !== undefined) return value;
  const shape = [newSize(operation, `${name}0`), newSize(operation, `${name}1`)];
  return value.rows === undefined ? value : withRows(value.rows, shape);
}

/** A product with packed weights, whose format is not followed: it changes the last axis of its input alone. */
function packedWeights(operation: Operation): Result {
  const [a, ...weights] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (weights.some(carriesRows)) return unknown(operation, 'its weights depend on rows');
  if (!carriesRows(a)) return ofConstants(operation);
  if (a.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  const last = a.shape.length - 1;
  if (a.rows.axis === last) return mixed(operation, SUMS_ROWS);
  return withRows(
    a.rows,
    a.shape.map((size, axis) => (axis === last ? newSize(operation, 'columns') : size)),
  );
}

/** MatMulInteger: a zero point is one number for the tensor, or one for each row of `a` or column of `b`. */
function matMulInteger(operation: Operation): Result {
  const [a, b, zeroA, zeroB] = operation.inputs as [Tracked, Tracked, Tracked | undefined, Tracked | undefined];
  if (carriesRows(zeroA) || carriesRows(zeroB)) return mixed(operation, 'a zero point depends on rows');
  if (carriesRows(a) && !isScalar(zeroA)) return unknown(operation, 'its first zero point is not one number');
  if (carriesRows(b) && !isScalar(zeroB)) return unknown(operation, 'its second zero point is not one number');
  return multiply(operation, { a, b });
}

/** Whether a parameter is omitted, or one number for the entire tensor. */
export const isScalar = (value: Tracked | undefined): boolean =>
  value === undefined || value.shape?.length === 0 || (value.shape?.length === 1 && isNumber(value.shape[0], 1));

function qLinearMatMul(operation: Operation): Result {
  const [a, scaleA, zeroA, b, scaleB, zeroB, ...rest] = operation.inputs as Tracked[];
  if ([scaleA, zeroA, scaleB, zeroB, ...rest].some(carriesRows)) return mixed(operation, 'a scale depends on rows');
  if (carriesRows(a) && !(isScalar(scaleA) && isScalar(zeroA)))
    return unknown(operation, 'its first scale is not one number');
  if (carriesRows(b) && !(isScalar(scaleB) && isScalar(zeroB)))
    return unknown(operation, 'its second scale is not one number');
  return multiply(operation, { a: a!, b: b! });
}

/** Einsum: the axes of the rows must have the same letter in all inputs, which the output has too, and no constant has. */
function einsum(operation: Operation): Result {
  const equation = (operation.attributes.text('equation') ?? '').replaceAll(' ', '');
  const inputs = operation.inputs as readonly Tracked[];
  if (!inputs.some(carriesRows)) return ofConstants(operation);
  if (equation.includes('...')) return unknown(operation, 'its equation has an ellipsis');
  const [left = '', given] = equation.split('->');
  const terms = left.split(',');
  const output =
    given ??
    [...new Set(left.replaceAll(',', ''))]
      .filter((one) => left.split(one).length === 2)
      .sort()
      .join('');
  const carriers = inputs.flatMap((input, i) =>
    carriesRows(input) ? [{ input, letter: terms[i]?.[input.rows.axis] }] : [],
  );
  const [{ input: first, letter }] = carriers as [{ input: WithRows; letter: string | undefined }];
  if (letter === undefined) return unknown(operation, RANK_UNKNOWN);
  if (
    carriers.some(
      (one) => one.letter !== letter || !isSameAxis({ ...one.input.rows, axis: 0 }, { ...first.rows, axis: 0 }),
    )
  ) {
    return mixed(operation, 'its inputs have their rows along different axes');
  }
  const axis = output.indexOf(letter);
  if (axis === -1) return mixed(operation, SUMS_ROWS);
  const places = terms.map((term) => term.split(letter).length - 1);
  if (places.some((count, i) => count > (carriesRows(inputs[i]) ? 1 : 0))) {
    return mixed(operation, 'rows meet another axis');
  }
  const sizeOf = (one: string): Size => {
    const sizes = terms.flatMap((term, i) => inputs[i]?.shape?.[term.indexOf(one)] ?? []);
    return sizes.find((size) => !isNumber(size, 1)) ?? newSize(operation, one);
  };
  return withRows(rowAxis(axis, first.rows.outer, first.rows.inner), [...output].map(sizeOf));
}

/** Det and Inverse, of each matrix in the last two axes. @param keeps whether the result has those axes */
function ofMatrices(keeps: boolean) {
  return (operation: Operation): Result => {
    const [input] = operation.inputs as [Tracked];
    if (!carriesRows(input)) return ofConstants(operation);
    if (input.shape === undefined) return unknown(operation, RANK_UNKNOWN);
    if (input.rows.axis >= input.shape.length - 2) return mixed(operation, 'it treats the rows as those of a matrix');
    return withRows(input.rows, keeps ? input.shape : input.shape.slice(0, -2));
  };
}

/** Rules of the operators of linear algebra. */
export const LINEAR: Rules = {
  Det: { apply: ofMatrices(false) },
  Einsum: { apply: einsum },
  Gemm: { apply: gemm },
  MatMul: { apply: matMul },
  MatMulInteger: { apply: matMulInteger },
  QLinearMatMul: { apply: qLinearMatMul },
  'com.microsoft.FusedGemm': { apply: gemm },
  'com.microsoft.FusedMatMul': { apply: fusedMatMul },
  'com.microsoft.FusedMatMulActivation': { apply: fusedMatMul },
  'com.microsoft.Inverse': { apply: ofMatrices(true) },
  'com.microsoft.MatMulNBits': { apply: packedWeights },
  'com.microsoft.TransposeMatMul': { apply: fusedMatMul },
};
