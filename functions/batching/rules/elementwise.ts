import { arithmetic } from '../values/arithmetic.ts';
import { isSameAxis } from '../values/merge.ts';
import { computedNumbers } from '../values/numbering.ts';
import {
  carriesRows,
  DEPENDS_ON_COUNT,
  DEPENDS_ON_PLACE,
  mixed,
  newSize,
  type Operation,
  ofElements,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  sameRows,
  unknown,
  type WithRows,
} from '../values/operation.ts';
import { isNumber, numberOf, ONE, type Size, sameSize } from '../values/size.ts';
import { isLost, isPositional, type RowAxis, type Tracked, type Value, withRows } from '../values/tracked-value.ts';

/** Operators whose output has the shape of the input, and each element depends on the input's element at its place alone. */
const UNARY = `
  Abs Acos Acosh Affine Asin Asinh Atan Atanh BitCast BitwiseNot Cast CastLike Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu
  HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Not ParametricSoftplus Reciprocal RegexFullMatch Relu
  Round ScaledTanh Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
  ai.onnx.ml.Binarizer ai.onnx.ml.CategoryMapper ai.onnx.ml.LabelEncoder ai.onnx.ml.ZipMap
  com.microsoft.Gelu com.microsoft.QuickGelu`;

/** Operators on several inputs with ONNX's broadcasting: https://onnx.ai/onnx/repo-docs/Broadcasting.html */
const BROADCASTING = `
  Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Clip Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod
  Mul Or PRelu Pow StringConcat Sub Sum Where Xor`;

/** Operators whose second input is a vector as long as the last axis of the first. */
const BIASED = 'com.microsoft.BiasAdd com.microsoft.BiasGelu com.microsoft.FastGelu';

/** Numbers of TensorProto.DataType. */
const [INT32, INT64] = [6, 7];

const words = (text: string): string[] => text.trim().split(/\s+/);

/** Keeps rows and shape. The rank need not be known. */
function unary(operation: Operation): Result {
  const [input] = operation.inputs;
  if (input === undefined) return unknown(operation, 'its input is missing');
  return carriesRows(input) ? sameRows(input) : ofElements(operation, input.shape, elementsOf(operation));
}

/** A Cast to int32 or int64 keeps the numbers of rows. */
function cast(operation: Operation): Result {
  const value = unary(operation) as Value;
  const isExact = [INT32, INT64].includes(operation.attributes.int('to') ?? 0);
  if (!isExact && isPositional(operation.inputs[0]!)) return mixed(operation, DEPENDS_ON_PLACE);
  return isExact && !isLost(value) ? { ...value, numbering: operation.inputs[0]!.numbering } : value;
}

function elementsOf(operation: Operation): readonly (Size | undefined)[] | undefined {
  return operation.inputs.length === 1 ? arithmetic(operation, operation.inputs[0]!.shape) : undefined;
}

function broadcasting(operation: Operation): Result {
  const { attributes, inputs } = operation;
  if (attributes.has('broadcast') || attributes.has('axis')) {
    return unknown(operation, 'it broadcasts by the rules before operator set 7');
  }
  if (operation.type === 'Clip' && inputs.slice(1).some(carriesRows))
    return mixed(operation, 'its limits depend on rows');
  const value = broadcast(operation, inputs);
  if (isLost(value)) return value;
  const numbering = computedNumbers(operation);
  const isCounted = operation.inputs.some((input) => input !== undefined && isPositional(input));
  if (isCounted && numbering?.stride === undefined) return mixed(operation, DEPENDS_ON_PLACE);
  const result = carriesRows(value) ? value : ofElements(operation, value.shape, arithmetic(operation, value.shape));
  return { ...result, numbering };
}

/**
 * What is known of the result of ONNX's broadcasting of some inputs. Rows do not influence each other if the rows of all inputs
 * that have any lie along the same axis of the result, and every other input has the size 1 there, or no such axis.
 */
export function broadcast(operation: Operation, inputs: readonly (Tracked | undefined)[]): Value {
  const present = inputs.filter((input) => input !== undefined);
  const withRowAxis = present.filter(carriesRows);
  if (withRowAxis.length === 0) return ofElements(operation, shapeOf(operation, present), undefined);
  if (present.some(({ counted }) => counted)) return mixed(operation, DEPENDS_ON_COUNT);
  if (present.some(({ shape }) => shape === undefined)) return ofUnknownRank(operation, present, withRowAxis);

  const rank = Math.max(...present.map(({ shape }) => shape!.length));
  const aligned = (input: Tracked, axis: number): number => axis + rank - input.shape!.length;
  const [first] = withRowAxis;
  const rows: RowAxis = { ...first!.rows, axis: aligned(first!, first!.rows.axis) };
  for (const input of present) {
    if (input === first) continue;
    if (carriesRows(input)) {
      if (!isSameAxis({ ...input.rows, axis: aligned(input, input.rows.axis) }, rows)) {
        return mixed(operation, 'rows of one input meet another axis of the other');
      }
      continue;
    }
    const own = rows.axis - rank + input.shape!.length;
    const size = own < 0 ? ONE : input.shape![own]!;
    if (numberOf(size) === undefined)
      return unknown(operation, 'a constant of a size that is not known meets the rows');
    if (!isNumber(size, 1)) return mixed(operation, `a constant of the size ${numberOf(size)} meets the rows`);
  }
  return withRows(rows, shapeOf(operation, present));
}

/** If the rank is not known: a single input, or one with scalars, keeps its axes. */
function ofUnknownRank(operation: Operation, present: readonly Tracked[], withRowAxis: readonly WithRows[]): Value {
  const others = present.filter((input) => input !== withRowAxis[0]);
  const areScalars = others.every(({ rows, shape }) => rows === undefined && shape?.length === 0);
  return areScalars ? withRows(withRowAxis[0]!.rows) : unknown(operation, RANK_UNKNOWN);
}

function shapeOf(operation: Operation, inputs: readonly Tracked[]): Size[] | undefined {
  if (inputs.some(({ shape }) => shape === undefined)) return undefined;
  const rank = Math.max(0, ...inputs.map(({ shape }) => shape!.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result = ONE;
    for (const { shape } of inputs) {
      const size = shape![axis - rank + shape!.length] ?? ONE;
      if (isNumber(size, 1) || isNumber(result, 1)) result = isNumber(size, 1) ? result : size;
      // A symbol that is broadcast with a number above 1 is that number, or 1.
      else if (!sameSize(size, result) && numberOf(result) === undefined) {
        result = numberOf(size) === undefined ? newSize(operation, axis) : size;
      }
    }
    return result;
  });
}

/** The bias lies along the last axis, which must not carry the rows. */
function biased(operation: Operation): Result {
  const [input] = operation.inputs;
  const value = broadcast(operation, operation.inputs);
  if (!isLost(value) && carriesRows(value) && !carriesRows(input)) return mixed(operation, 'its bias depends on rows');
  if (operation.inputs[1] === undefined || isLost(value) || !carriesRows(value)) return value;
  if (input?.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  return value.rows.axis === input.shape.length - 1 ? mixed(operation, 'its bias is as long as there are rows') : value;
}

/** Dropout returns its input in inference, and drops values at random in training. Its second output, a mask, has the same rows. */
const dropout: Rule = {
  apply(operation) {
    const training = operation.inputs[2];
    const [flag] = training?.elements ?? [];
    const trains =
      operation.opset < 7 ? operation.attributes.int('is_test') !== 1 : training !== undefined && numberOf(flag) !== 0;
    return trains ? mixed(operation, 'it drops values at random: training mode') : unary(operation);
  },
};

/** Rules of the elementwise operators, with one input or with broadcasting. */
export const ELEMENTWISE: Rules = {
  ...Object.fromEntries(words(UNARY).map((type) => [type, { sizes: 'all', apply: unary }])),
  ...Object.fromEntries(
    words(BROADCASTING).map((type) => [type, { sizes: 'all', takesNumbers: true, apply: broadcasting }]),
  ),
  ...Object.fromEntries(words(BIASED).map((type) => [type, { apply: biased }])),
  Cast: { sizes: 'all', takesNumbers: true, apply: cast },
  Identity: { sizes: 'all', padded: true, takesNumbers: true, takesSequences: true, apply: ({ inputs }) => inputs[0]! },
  Dropout: dropout,
};
