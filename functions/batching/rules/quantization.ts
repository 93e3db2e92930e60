import {
  axisOf,
  carriesRows,
  kept,
  mixed,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  unknown,
} from '../values/operation.ts';
import type { Tracked } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';
import { isScalar, multiply } from './linear.ts';

/** By constant scales: one for the tensor, or one for each place of an axis that is not the rows'. */
function linear(operation: Operation): Result {
  const [input, ...scales] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (scales.some(carriesRows)) return mixed(operation, 'its scale depends on rows');
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  const [scale] = scales;
  if (isScalar(scale)) return kept(input);
  const axis = axisOf(operation.attributes.int('axis') ?? 1, input.shape?.length);
  if (axis === undefined || scale?.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  if (scale.shape.length > 1 || (operation.attributes.int('block_size') ?? 0) > 0) {
    return unknown(operation, 'its scale is one for each block');
  }
  return axis === input.rows.axis
    ? mixed(operation, 'a scale for each place of a fixed number meets the rows')
    : kept(input);
}

/** A scale that comes from the smallest and the largest value of the whole run. */
const dynamic: Rule = {
  apply: (operation) =>
    operation.inputs.some(carriesRows)
      ? mixed(operation, 'it takes one scale from the values of all rows of the run')
      : ofConstants(operation),
};

/** Elementwise on quantized tensors: pairs of a tensor, its scale and its zero point. */
function quantizedPair(operation: Operation): Result {
  const [a, scaleA, zeroA, b, scaleB, zeroB, ...rest] = operation.inputs as Tracked[];
  const parameters = [scaleA, zeroA, scaleB, zeroB, ...rest];
  if (!parameters.every((one) => one?.rows === undefined && isScalar(one)))
    return unknown(operation, 'a scale is not one number');
  return broadcast(operation, [a, b]);
}

function quantizedUnary(operation: Operation): Result {
  const [input, ...parameters] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (!parameters.every((one) => one?.rows === undefined && isScalar(one)))
    return unknown(operation, 'a scale is not one number');
  return carriesRows(input) ? kept(input) : ofConstants(operation, input.shape);
}

/** A product of integers made floating: its first scale may be one number that is a constant. */
function matMulIntegerToFloat(operation: Operation): Result {
  const [a, b, ...parameters] = operation.inputs as [Tracked, Tracked, ...(Tracked | undefined)[]];
  if (parameters.some(carriesRows)) return mixed(operation, 'a scale depends on rows');
  if (!isScalar(parameters[0]) || !isScalar(parameters[2]))
    return unknown(operation, 'its first scale is not one number');
  if (carriesRows(b)) return unknown(operation, 'its second scale may be one for each column');
  return multiply(operation, { a, b });
}

const LINEAR_QUANTIZATION: Rule = { apply: linear };

export const QUANTIZATION: Rules = {
  DequantizeLinear: LINEAR_QUANTIZATION,
  DynamicQuantizeLinear: dynamic,
  QuantizeLinear: LINEAR_QUANTIZATION,
  'com.microsoft.DequantizeLinear': LINEAR_QUANTIZATION,
  'com.microsoft.DynamicQuantizeLSTM': dynamic,
  'com.microsoft.DynamicQuantizeMatMul': dynamic,
  'com.microsoft.MatMulIntegerToFloat': { apply: matMulIntegerToFloat },
  'com.microsoft.QLinearAdd': { apply: quantizedPair },
  'com.microsoft.QLinearLeakyRelu': { apply: quantizedUnary },
  'com.microsoft.QLinearMul': { apply: quantizedPair },
  'com.microsoft.QLinearSigmoid': { apply: quantizedUnary },
  'com.microsoft.QuantizeLinear': LINEAR_QUANTIZATION,
};
