import {
  axisOf,
  carriesRows,
  mixed,
  moved,
  newSize,
  numbersFrom,
  type Operation,
  ofConstants,
  ofElements,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  sameRows,
  unknown,
} from '../values/operation.ts';
import { number, numberOf, ONE, product, type Size } from '../values/size.ts';
import { isLost, type Tracked, type Value, withRows } from '../values/tracked-value.ts';

/** ReduceSum and its kin, over some axes, or over all if none are given. */
function reduce(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  const { shape } = input;
  const given = numbersFrom(operation, 1, 'axes');
  if (given === 'unknown')
    return carriesRows(input) ? unknown(operation, 'its axes are not known') : ofConstants(operation);
  if ((given ?? []).length === 0 && operation.attributes.int('noop_with_empty_axes') === 1) {
    return carriesRows(input) ? sameRows(input) : ofConstants(operation, shape);
  }
  const keeps = operation.attributes.int('keepdims') !== 0;
  const all = shape?.map((_, axis) => axis);
  const axes = given === undefined || given.length === 0 ? all : given.map((axis) => axisOf(axis, shape?.length));
  return reduced(operation, input, axes, keeps);
}

function reduced(
  operation: Operation,
  input: Tracked,
  axes: readonly (number | undefined)[] | undefined,
  keeps: boolean,
): Value {
  const { shape } = input;
  if (axes === undefined || axes.includes(undefined)) {
    if (!carriesRows(input)) return ofConstants(operation);
    return axes === undefined ? mixed(operation, 'it reduces over the rows') : unknown(operation, RANK_UNKNOWN);
  }
  const sizes = shape?.flatMap((size, axis) => (axes.includes(axis) ? (keeps ? [ONE] : []) : [size]));
  if (!carriesRows(input)) return ofElements(operation, sizes, reducedElements(operation, input));
  const { rows } = input;
  if (axes.includes(rows.axis)) return mixed(operation, 'it reduces over the rows');
  const before = keeps ? 0 : axes.filter((axis) => axis! < rows.axis).length;
  return moved(rows, rows.axis - before, sizes);
}

/** The result for a vector of known numbers: exporters compute the number of a tensor's elements so. */
function reducedElements({ type }: Operation, { shape, elements }: Tracked): Tracked['elements'] {
  if (shape?.length !== 1 || !elements?.every((element) => element !== undefined)) return undefined;
  if (type === 'ReduceProd') return [product(elements)];
  const values = elements.map(numberOf) as number[];
  // Floats would be rounded in the run.
  if (!values.every(Number.isInteger)) return undefined;
  if (type === 'ReduceSum') return [number(values.reduce((sum, value) => sum + value, 0))];
  if (type === 'ReduceMax') return [number(Math.max(...values))];
  return type === 'ReduceMin' ? [number(Math.min(...values))] : undefined;
}

function argument(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  const axis = axisOf(operation.attributes.int('axis') ?? 0, input.shape?.length);
  const value = reduced(operation, input, [axis], operation.attributes.int('keepdims') !== 0);
  const size = axis === undefined ? undefined : input.shape?.[axis];
  return isLost(value) || size === undefined ? value : { ...value, numbering: { stride: undefined, below: size } };
}

/** A rule for an operator on the vectors along one axis. The result has the shape of the input. @param otherwise default axis */
function along(otherwise: number, reason: string): Rule {
  return {
    apply: (operation) => alongAxis(operation, operation.attributes.int('axis') ?? otherwise, reason),
  };
}

function alongAxis(operation: Operation, given: number | undefined, reason: string): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  const axis = given === undefined ? undefined : axisOf(given, input.shape?.length);
  if (axis === undefined) return unknown(operation, given === undefined ? 'its axis is not known' : RANK_UNKNOWN);
  return axis === input.rows.axis ? mixed(operation, reason) : sameRows(input);
}

/** Softmax: from operator set 13 on along one axis, by default the last; before, over all axes from `axis` on, by default 1. */
function softmax(operation: Operation): Result {
  const reason = 'it normalizes over the rows';
  if (operation.opset >= 13) return alongAxis(operation, operation.attributes.int('axis') ?? -1, reason);
  return fromAxisOn(operation, operation.attributes.int('axis') ?? 1, reason);
}

/** A normalization over all axes from `given` on. */
function fromAxisOn(operation: Operation, given: number, reason: string): Result {
  const [input] = operation.inputs as [Tracked];
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  const axis = axisOf(given, input.shape?.length);
  if (axis === undefined) return unknown(operation, RANK_UNKNOWN);
  return input.rows.axis >= axis ? mixed(operation, reason) : sameRows(input);
}

function cumulativeSum(operation: Operation): Result {
  const axis = numberOf(operation.inputs[1]?.elements?.[0]);
  return alongAxis(operation, axis, 'it adds up the rows');
}

function topK(operation: Operation): Result {
  const [input, count] = operation.inputs as [Tracked, Tracked | undefined];
  if (carriesRows(count)) return mixed(operation, 'how many entries it gives depends on the data');
  const axis = operation.attributes.int('axis') ?? -1;
  const value = alongAxis(operation, axis, 'it sorts the rows');
  if ('lost' in value || !carriesRows(input)) return value;
  const place = axisOf(axis, input.shape?.length);
  const size = count?.elements?.[0] ?? newSize(operation, 'k');
  return withRows(
    input.rows,
    input.shape?.map((one, i) => (i === place ? size : one)),
  );
}

/** BatchNormalization: in inference, by constants for each channel, axis 1; in training, by statistics of the batch. */
function batchNormalization(operation: Operation): Result {
  const [input, ...parameters] = operation.inputs as [Tracked, ...Tracked[]];
  const trains = operation.opset >= 14 ? operation.attributes.int('training_mode') === 1 : operation.outputs > 1;
  const isTest = operation.opset >= 7 || operation.attributes.int('is_test') === 1;
  if (trains || !isTest) return mixed(operation, 'in training mode it normalizes over the rows');
  if (parameters.some(carriesRows)) return mixed(operation, 'its parameters depend on rows');
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  return input.rows.axis === 1 ? mixed(operation, 'it treats the rows as channels') : sameRows(input);
}

/** InstanceNormalization and GroupNormalization: within each image, so that rows must lie along axis 0. */
function perImage(operation: Operation): Result {
  const [input, ...parameters] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (parameters.some(carriesRows)) return mixed(operation, 'its parameters depend on rows');
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  return input.rows.axis === 0 ? sameRows(input) : mixed(operation, 'it normalizes over the rows');
}

function layerNormalization(operation: Operation): Result {
  const [input, ...parameters] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (parameters.some(carriesRows)) return mixed(operation, 'its parameters depend on rows');
  const value = fromAxisOn(operation, operation.attributes.int('axis') ?? -1, 'it normalizes over the rows');
  if (operation.outputs === 1 || Array.isArray(value) || 'lost' in value || !carriesRows(input)) return value;
  // The mean and the deviation have the size 1 from the axis on.
  const axis = axisOf(operation.attributes.int('axis') ?? -1, input.shape?.length)!;
  const statistics = withRows(
    input.rows,
    input.shape?.map((size: Size, i: number) => (i >= axis ? ONE : size)),
  );
  return [value as Tracked, statistics, statistics];
}

function meanVarianceNormalization(operation: Operation): Result {
  const [input] = operation.inputs as [Tracked];
  const axes = operation.attributes.ints('axes') ?? [0, 2, 3];
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  if (operation.opset < 9) return unknown(operation, 'there is no rule for it in operator set 1');
  const places = axes.map((axis) => axisOf(axis, input.shape?.length));
  if (places.includes(undefined)) return unknown(operation, RANK_UNKNOWN);
  return places.includes(input.rows.axis) ? mixed(operation, 'it normalizes over the rows') : sameRows(input);
}

/** LRN: over neighbouring channels, axis 1. */
function localResponse(operation: Operation): Result {
  return alongAxis(operation, 1, 'it treats the rows as channels');
}

const REDUCTIONS = 'L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare';
const PER_IMAGE: Rule = { apply: perImage };
const LAYER: Rule = { apply: layerNormalization };

/** Rules of the operators that reduce, normalize, sort or sum along axes. */
export const REDUCTION: Rules = {
  ...Object.fromEntries(
    REDUCTIONS.split(' ').map((name): [string, Rule] => [`Reduce${name}`, { sizes: [0], apply: reduce }]),
  ),
  ArgMax: { apply: argument },
  ArgMin: { apply: argument },
  BatchNormalization: { apply: batchNormalization },
  CumProd: { apply: cumulativeSum },
  CumSum: { apply: cumulativeSum },
  GroupNormalization: PER_IMAGE,
  Hardmax: { apply: softmax },
  InstanceNormalization: PER_IMAGE,
  LRN: { apply: localResponse },
  LayerNormalization: LAYER,
  LogSoftmax: { apply: softmax },
  LpNormalization: along(-1, 'it normalizes over the rows'),
  MeanVarianceNormalization: { apply: meanVarianceNormalization },
  RMSNormalization: LAYER,
  SimplifiedLayerNormalization: LAYER,
  Softmax: { apply: softmax },
  TopK: { apply: topK },
  'com.microsoft.GroupNorm': PER_IMAGE,
  'com.microsoft.SimplifiedLayerNormalization': LAYER,
};
