import { node as createNode } from '../../onnx/proto/build.ts';
import type { NodeProto } from '../../onnx/proto/onnx_pb.ts';
import { floatOf, intOf } from './attributes.ts';
import type { Weight } from './weights.ts';

/** A product of a value and a matrix, as a MatMul or a Gemm has it. */
export interface Product {
  /** Of the node that multiplies: that of a Gemm gets `_MatMul` at its end. Empty for a node without a name. */
  readonly name: string;
  readonly input: string;
  /** [k, n], or with more axes in front for a MatMul. */
  readonly weight: Weight;
  readonly output: string;
  /** Adds the bias of a Gemm to the output; undefined if there is none. */
  readonly bias: NodeProto | undefined;
}

/**
 * Reads a MatMul or Gemm with the weight on the right as a product and a sum, as onnxruntime's quantizer splits a Gemm.
 * @param weight the second input
 * @returns why it is not such a product
 */
export function productOf(node: NodeProto, weight: Weight, names: (base: string) => string): Product | string {
  const { name, input, output } = node;
  const [left = '', , bias = ''] = input;
  const [result = ''] = output;
  if (node.opType === 'MatMul') {
    return weight.dims.length < 2
      ? `its weight ${weight.name} is no matrix`
      : { name, input: left, weight, output: result, bias: undefined };
  }
  for (const [attribute, value] of [
    ['alpha', floatOf(node, 'alpha', 1)],
    ['beta', bias === '' ? 1 : floatOf(node, 'beta', 1)],
    ['transA', intOf(node, 'transA', 0) + 1],
  ] as const) {
    if (value !== 1) return `its attribute ${attribute} has another value than the usual one`;
  }
  const product = {
    name: name === '' ? '' : names(`${name}_MatMul`),
    input: left,
    weight: intOf(node, 'transB', 0) === 0 ? weight : transposed(weight),
  };
  if (bias === '') return { ...product, output: result, bias: undefined };
  const sum = names(`${result}_MatMul`);
  const named = name === '' ? {} : { name: names(`${name}_Add`) };
  return { ...product, output: sum, bias: createNode('Add', [sum, bias], [result], {}, named) };
}

function transposed(weight: Weight): Weight {
  return { ...weight, dims: weight.dims.toReversed(), isTransposed: !weight.isTransposed };
}
