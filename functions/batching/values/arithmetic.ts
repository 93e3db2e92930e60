import { DATA_TYPES } from '../../onnx/data-type.ts';
import { newSize, type Operation } from './operation.ts';
import {
  combined,
  divided,
  isInteger,
  isNumber,
  isPositive,
  number,
  numberOf,
  plus,
  product,
  type Size,
  sameSize,
  times,
} from './size.ts';
import type { Tracked } from './tracked-value.ts';

type Element = Size | undefined;
type Compute = (operands: readonly Size[], operation: Operation, element: number) => Element;

/** The types to which Cast is followed: those that hold every size. A smaller type would round or overflow. */
const FLOATS: readonly number[] = [DATA_TYPES.float32, DATA_TYPES.float64];
const INTEGERS: readonly number[] = [DATA_TYPES.int32, DATA_TYPES.int64];

const flag = (value: boolean | undefined): Element => (value === undefined ? undefined : number(value ? 1 : 0));

/** A computation that is followed only if all operands are numbers without symbols. */
function onNumbers(compute: (...values: number[]) => number): Compute {
  return (operands) => {
    const values = operands.map(numberOf);
    return values.every((value) => value !== undefined) ? number(compute(...values)) : undefined;
  };
}

/** A comparison of numbers without symbols, or of a size, which is never negative, with a negative number. */
function compared(holds: (a: number, b: number) => boolean): Compute {
  return ([a, b]) => {
    const [left, right] = [numberOf(a), numberOf(b)];
    if (left !== undefined && right !== undefined) return flag(holds(left, right));
    if (sameSize(a, b)) return flag(holds(0, 0));
    if (right !== undefined && right < 0 && isSize(a!)) return flag(holds(0, right));
    if (left !== undefined && left < 0 && isSize(b!)) return flag(holds(left, 0));
    return undefined;
  };
}

const isSize = (size: Size): boolean => size.factor > 0 && isPositive(size);

function rounded(name: string, round: (value: number) => number): Compute {
  return ([a]) => {
    const value = numberOf(a);
    if (value !== undefined) return number(round(value));
    return isInteger(a!) ? a : combined(name, a!);
  };
}

function quotient([a, b]: readonly Size[], operation: Operation, element: number): Element {
  const exact = divided(a!, b!);
  // Division truncates integers but not floats, and the type is not followed: the result is a new, unknown number.
  return exact ?? (combined('/', a!, b!) === undefined ? undefined : newSize(operation, `~${element}`));
}

function extreme(pick: (...values: number[]) => number): Compute {
  return (operands) => {
    if (operands.every((operand) => sameSize(operand, operands[0]))) return operands[0];
    return onNumbers(pick)(operands, undefined as never, 0);
  };
}

function cast(operands: readonly Size[], operation: Operation): Element {
  const to = operation.attributes.int('to') ?? 0;
  if (FLOATS.includes(to)) return operands[0];
  if (to === DATA_TYPES.bool)
    return flag(numberOf(operands[0]) === undefined ? undefined : numberOf(operands[0]) !== 0);
  return INTEGERS.includes(to) ? rounded('trunc', Math.trunc)(operands, operation, 0) : undefined;
}

const COMPUTE: Readonly<Record<string, Compute>> = {
  Add: ([a, b]) => plus(a!, b!),
  And: onNumbers((a, b) => (a !== 0 && b !== 0 ? 1 : 0)),
  Cast: cast,
  Ceil: rounded('ceil', Math.ceil),
  Div: quotient,
  Equal: compared((a, b) => a === b),
  Floor: rounded('floor', Math.floor),
  Greater: compared((a, b) => a > b),
  GreaterOrEqual: compared((a, b) => a >= b),
  Identity: ([a]) => a,
  Less: compared((a, b) => a < b),
  LessOrEqual: compared((a, b) => a <= b),
  Max: extreme(Math.max),
  Min: extreme(Math.min),
  Mod: onNumbers((a, b) => (b > 0 && a >= 0 ? a % b : Number.NaN)),
  Mul: ([a, b]) => times(a!, b!),
  Neg: ([a]) => times(a!, number(-1)),
  Not: onNumbers((a) => (a === 0 ? 1 : 0)),
  Or: onNumbers((a, b) => (a !== 0 || b !== 0 ? 1 : 0)),
  Sqrt: onNumbers(Math.sqrt),
  Sub: ([a, b]) => plus(a!, b!, -1),
};

/**
 * The elements that an elementwise operator computes from small tensors of numbers, row-major: the computations with shapes that
 * exporters write. Undefined if no element is known.
 * @param shape of the result
 */
export function arithmetic(operation: Operation, shape: Tracked['shape']): Element[] | undefined {
  const operands = operation.inputs.map((input) => input?.elements);
  if (operands.length === 0 || !operands.every((elements) => elements !== undefined)) return undefined;
  const length = Math.max(...operands.map((elements) => elements.length));
  if (operands.some((elements) => elements.length !== 1 && elements.length !== length)) return undefined;
  // A column and a row of the same length give a matrix, which has more elements than either.
  if (shape === undefined || !isNumber(product(shape), length)) return undefined;
  const at = (operand: number, element: number): Element => {
    const elements = operands[operand]!;
    return elements.length === 1 ? elements[0] : elements[element];
  };
  const elements = Array.from({ length }, (_, element) => {
    if (operation.type === 'Where') return chosen(at(0, element), at(1, element), at(2, element));
    const values = operands.map((_, operand) => at(operand, element));
    if (!values.every((value) => value !== undefined)) return undefined;
    const result = COMPUTE[operation.type]?.(values, operation, element);
    return result !== undefined && isExact(result.factor) ? result : undefined;
  });
  return elements.some((element) => element !== undefined) ? elements : undefined;
}

/** Whether float32 represents the number exactly. Otherwise the run may round: 0.7 × 10 is below 7 here, and 7 in float32. */
const isExact = (value: number): boolean => Math.fround(value) === value;

function chosen(condition: Element, then: Element, otherwise: Element): Element {
  const value = numberOf(condition);
  if (value !== undefined) return value !== 0 ? then : otherwise;
  return sameSize(then, otherwise) ? then : undefined;
}
