import { DATA_TYPES } from '../../../../onnx/data-type.ts';
import type { NodeProto } from '../../../../onnx/proto/onnx_pb.ts';
import { productOf } from '../../gemm.ts';
import { addInitializer } from '../../weights.ts';
import type { GraphContext, Rewrite } from './context.ts';
import type { QuantizedValue } from './quantized-value.ts';

/** MatMul and Gemm: MatMulInteger of the quantized value and the quantized weight, a Cast to float32, and the scales. */
export const rewriteProduct: Rewrite = async (node, context) => {
  const weight = context.weightOf(node, 1);
  if (typeof weight === 'string') return { reason: weight };
  const product = productOf(node, weight, context.names);
  if (typeof product === 'string') return { reason: product };
  // onnxruntime takes a scale for each column of a matrix alone.
  const axis = product.weight.dims.length === 2 ? -1 : undefined;
  const right = await context.weights.linear(product.weight, axis);
  const left = context.quantize(product.input);
  multiply(context, product, 'MatMulInteger', { left, right });
  if (product.bias !== undefined) context.add(product.bias);
  return { by: 'MatMulInteger' };
};

/** Conv: ConvInteger, a Cast to float32, the scales, and the bias. The weight has one scale. */
export const rewriteConvolution: Rewrite = async (node, context) => {
  const weight = context.weightOf(node, 1);
  if (typeof weight === 'string') return { reason: weight };
  const [input = '', , bias = ''] = node.input;
  const [output = ''] = node.output;
  const { name } = node;
  const right = await context.weights.linear(weight);
  const left = context.quantize(input, 'uint8');
  const scaled = bias === '' ? output : context.names(`${output}quant_scaled_output`);
  multiply(context, { name, output: scaled, base: output }, 'ConvInteger', { left, right }, node);
  if (bias === '') return { by: 'ConvInteger' };
  // The bias is for the second axis, of all axes of the weight.
  const shape = BigInt64Array.from(weight.dims, (_, i) => (i === 1 ? -1n : 1n));
  const target = context.names(`${output}_bias_reshape_shape`);
  addInitializer(weight.graph, target, 'int64', [shape.length], shape);
  const shaped = context.names(`${output}_bias_reshape_output`);
  context.create('Reshape', [bias, target], [shaped]);
  context.create('Add', [scaled, shaped], [output], {}, { name: context.names(`${output}_bias_add`) });
  return { by: 'ConvInteger' };
};

/**
 * Adds a product of integers and what makes floats of it, with the names that onnxruntime's quantizer gives.
 * @param base of the names; default: the output
 * @param attributesOf the node whose attributes the product has
 */
function multiply(
  context: GraphContext,
  { name, output, base = output }: { name: string; output: string; base?: string },
  operator: string,
  { left, right }: { left: QuantizedValue; right: QuantizedValue },
  attributesOf?: NodeProto,
): void {
  const { names } = context;
  const product = names(`${base}_output_quantized`);
  const quantName = name === '' ? '' : names(`${name}_quant`);
  const inputs = [left.quantized, right.quantized, left.zeroPoint, right.zeroPoint];
  const made = context.create(operator, inputs, [product], {}, { name: quantName });
  if (attributesOf !== undefined) made.attribute = attributesOf.attribute;
  const floats = names(`${product}_cast_output`);
  context.create('Cast', [product], [floats], { to: BigInt(DATA_TYPES.float32) }, { name: names(`${product}_cast`) });
  const scale = context.multiplyScales(quantName, [left.scale, right.scale]);
  const scaling = quantName === '' ? {} : { name: names(`${quantName}_output_scale_mul`) };
  context.create('Mul', [floats, scale], [output], {}, scaling);
}
