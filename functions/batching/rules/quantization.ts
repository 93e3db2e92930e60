import {
  axisOf,
  carriesRows,
  mixed,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  sameRows,
  unknown,
} from '../values/operation.ts';
import type { Tracked } from '../values/tracked-value.ts';
import { broadcast } from './elementwise.ts';
import { isScalar, multiply } from './linear.ts';

/** QuantizeLinear and DequantizeLinear by constant scales: one for the tensor, or one for each place of an axis without rows. */
function linear(operation: Operation): Result {
  const [input, ...scales] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (scales.some(carriesRows)) return mixed(operation, 'its scale depends on rows');
  if (!carriesRows(input)) return ofConstants(operation, input.shape);
  const [scale] = scales;
  if (isScalar(scale)) return sameRows(input);
  const axis = axisOf(operation.attributes.int('axis') ?? 1, input.shape?.length);
  if (axis === undefined || scale?.shape === undefined) return unknown(operation, RANK_UNKNOWN);
  if (scale.shape.length > 1 || (operation.attributes.int('block_size') ?? 0) > 0) {
    return unknown(operation, 'it has a scale for each block');
  }
  return axis === input.rows.axis ? mixed(operation, 'scales of a fixed number meet the rows') : sameRows(input);
}

/** Operators that compute one scale from the smallest and the largest value of the entire tensor. */
const dynamic: Rule = {
  apply: (operation) =>
    operation.inputs.some(carriesRows)
      ? mixed(operation, 'it computes one scale from the values of all rows of the run')
      : ofConstants(operation),
};

/** QLinearAdd and QLinearMul: each tensor has a scale and a zero point. */
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
  return carriesRows(input) ? sameRows(input) : ofConstants(operation, input.shape);
}

/** MatMulIntegerToFloat: a product of integers as floats. The scale and the zero point of `a` must be one constant number each. */
function matMulIntegerToFloat(operation: Operation): Result {
  const [a, b, ...parameters] = operation.inputs as [Tracked, Tracked, ...(Tracked | undefined)[]];
  if (parameters.some(carriesRows)) return mixed(operation, 'a scale depends on rows');
  if (!isScalar(parameters[0]) || !isScalar(parameters[2]))
    return unknown(operation, 'its first scale is not one number');
  if (carriesRows(b)) return unknown(operation, 'its second scale may be one for each column');
  return multiply(operation, { a, b });
}

const LINEAR_QUANTIZATION: Rule = { apply: linear };

/** Rules of the operators that quantize, and of those of com.microsoft on quantized tensors. */
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
