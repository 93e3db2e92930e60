import type { NodeProto } from '../../../onnx/proto/onnx_pb.ts';
import { attributeOf, floatOf, intOf } from '../attributes.ts';

/** Marks the values of a node that are quantized. Values that are not float32 are never marked. */
export interface Marker {
  /** The version of ONNX's operator set. */
  readonly opset: number;
  isMarked(value: string): boolean;
  isConstant(value: string): boolean;
  /** The rank of a constant; undefined for other values. */
  rankOf(value: string): number | undefined;
  /** The element of a constant of one element; undefined for other constants, and for values that are none. */
  numberOf(value: string): number | undefined;
  /** A value with a scale of its own; a constant as well. */
  activation(value: string): void;
  /** An output with the scale of an input. */
  sameAs(output: string, input: string): void;
  /** A constant with a scale for each place of an axis; a value that is no constant gets one scale. */
  weight(value: string, axis: number | undefined): void;
  /** A constant that is added to products of two others, as int32. */
  bias(bias: Bias): void;
  /** An output whose smallest and largest value are known. */
  bounded(value: string, min: number, max: number): void;
  /** Removes a node that only clips: the quantization of its output does that. @returns false if its input has other readers */
  fold(node: NodeProto): boolean;
}

/** A constant that is added to the products of `input` and `weight`. */
export interface Bias {
  readonly node: NodeProto;
  /** The index among the inputs of the node. */
  readonly at: number;
  readonly input: string;
  readonly weight: string;
  /** The bias is multiplied by this, and the node's attribute of that name becomes 1. */
  readonly beta: number;
}

/** Marks values. @returns why the node stays as it is, if it does */
type Rule = (node: NodeProto, marker: Marker) => string | undefined;

const NOT_QUANTIZED = 'its input is not quantized';

/** All inputs and outputs. */
const all: Rule = ({ input, output }, marker) => {
  for (const value of [...input, ...output]) marker.activation(value);
  return undefined;
};

/** Operators that move or choose elements: the output has the scale of the input, if that is quantized. */
const moves: Rule = ({ input: [input], output: [output] }, marker) => {
  if (!marker.isMarked(input!)) return NOT_QUANTIZED;
  marker.sameAs(output!, input!);
  return undefined;
};

/** As `moves`, but the input is quantized for it. */
const movesAlways: Rule = ({ input: [input], output }, marker) => {
  marker.activation(input!);
  for (const one of output) marker.sameAs(one, input!);
  return undefined;
};

/** Conv and ConvTranspose. @param axis of the weight, that of the output's channels */
const convolution =
  (axis: number): Rule =>
  (node, marker) => {
    const [input, weight] = node.input;
    marker.activation(input!);
    marker.activation(node.output[0]!);
    marker.weight(weight!, axis);
    marker.bias({ node, at: 2, input: input!, weight: weight!, beta: 1 });
    return undefined;
  };

const gemm: Rule = (node, marker) => {
  const [input, weight] = node.input;
  const axis = intOf(node, 'transB', 0) === 1 ? 0 : 1;
  marker.activation(input!);
  marker.activation(node.output[0]!);
  marker.weight(weight!, axis);
  marker.bias({ node, at: 2, input: input!, weight: weight!, beta: floatOf(node, 'beta', 1) });
  return undefined;
};

/** A scale for each column of the second matrix: the integer product needs one scale for all columns of the first. */
const matMul: Rule = ({ input: [a, b], output: [output] }, marker) => {
  marker.weight(a!, undefined);
  // onnxruntime multiplies stacks of matrices by one scale.
  marker.weight(b!, marker.rankOf(b!) === 2 ? 1 : undefined);
  marker.activation(output!);
  return undefined;
};

/** Relu and Clip: removed if the quantization of their output clips to the same range, which always includes 0. */
const clips: Rule = (node, marker) => {
  if (!marker.isMarked(node.input[0]!)) return NOT_QUANTIZED;
  if (!clipsAroundZero(node, marker) || !marker.fold(node)) marker.activation(node.output[0]!);
  return undefined;
};

function clipsAroundZero(node: NodeProto, marker: Marker): boolean {
  if (node.opType === 'Relu') return true;
  const bound = (at: number, name: string, otherwise: number): number => {
    if (marker.opset < 11) return floatOf(node, name, otherwise);
    const input = node.input[at] ?? '';
    return input === '' ? otherwise : (marker.numberOf(input) ?? Number.NaN);
  };
  return bound(1, 'min', Number.NEGATIVE_INFINITY) <= 0 && bound(2, 'max', Number.POSITIVE_INFINITY) >= 0;
}

const maxPool: Rule = (node, marker) =>
  marker.opset < 12 ? 'MaxPool takes integers from operator set 12 on' : moves(node, marker);

/** The elements that it adds are of the input's range if they are 0 or copies. */
const pad: Rule = (node, marker) => {
  const [input, , constant = ''] = node.input;
  if (!marker.isMarked(input!)) return NOT_QUANTIZED;
  const fill = constant === '' ? floatOf(node, 'value', 0) : marker.numberOf(constant);
  if (fill === 0 || !isConstantMode(node)) marker.sameAs(node.output[0]!, input!);
  else marker.activation(node.output[0]!);
  return undefined;
};

function isConstantMode(node: NodeProto): boolean {
  const mode = attributeOf(node, 'mode')?.s;
  return mode === undefined || new TextDecoder().decode(mode) === 'constant';
}

/** Gather and GatherElements: an embedding is quantized for them. */
const gather: Rule = (node, marker) => {
  const [input] = node.input;
  if (marker.isConstant(input!)) marker.activation(input!);
  return moves(node, marker);
};

const where: Rule = ({ input: [, a, b], output: [output] }, marker) => {
  if (!marker.isMarked(a!) || !marker.isMarked(b!)) return 'not both of its inputs are quantized';
  marker.activation(output!);
  return undefined;
};

const softmax: Rule = (node, marker) => {
  marker.activation(node.input[0]!);
  marker.bounded(node.output[0]!, 0, 1);
  return undefined;
};

const normalization: Rule = (node, marker) => {
  const [input, scale] = node.input;
  marker.activation(input!);
  marker.weight(scale!, undefined);
  marker.bias({ node, at: 2, input: input!, weight: scale!, beta: 1 });
  for (const output of node.output) marker.activation(output);
  return undefined;
};

/**
 * The operators of ONNX that static quantization knows, and which of their values it quantizes: the list that `quantize_static` of
 * onnxruntime's Python tools has by default (registry.py), with the choices of its classes QDQ….
 */
export const RULES: Readonly<Record<string, Rule>> = {
  Add: all,
  ArgMax: all,
  AveragePool: moves,
  BatchNormalization: normalization,
  Clip: clips,
  Concat: all,
  Conv: convolution(0),
  ConvTranspose: convolution(1),
  Gather: gather,
  GatherElements: gather,
  Gemm: gemm,
  GlobalAveragePool: all,
  InstanceNormalization: normalization,
  LayerNormalization: normalization,
  LeakyRelu: all,
  MatMul: matMul,
  MaxPool: maxPool,
  Mul: all,
  Pad: pad,
  Relu: clips,
  Reshape: moves,
  Resize: movesAlways,
  Sigmoid: all,
  Slice: moves,
  Softmax: softmax,
  Split: movesAlways,
  Squeeze: moves,
  Transpose: moves,
  Unsqueeze: moves,
  Where: where,
};
