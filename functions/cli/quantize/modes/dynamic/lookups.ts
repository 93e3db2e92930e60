import type { Rewrite } from './context.ts';

/** Gather of a table of floats, such as embeddings: of a table of integers with one scale; what reads it gets floats, or integers. */
export const rewriteGather: Rewrite = async (node, context) => {
  const table = context.weightOf(node, 0);
  if (typeof table === 'string') return undefined;
  const integers = await context.weights.linear(table);
  const [output = ''] = node.output;
  const quantized = context.names(`${output}_quantized`);
  node.input[0] = integers.quantized;
  node.output[0] = quantized;
  context.add(node);
  context.setIntegers(output, { ...integers, quantized });
  return { by: 'Gather' };
};

/** Transpose of integers, where its input exists as integers alone. */
export const rewriteTranspose: Rewrite = async (node, context) => {
  const [input = ''] = node.input;
  const integers = context.integersOf(input);
  if (integers === undefined) return undefined;
  const [output = ''] = node.output;
  const quantized = context.names(`${output}_quantized`);
  node.input[0] = integers.quantized;
  node.output[0] = quantized;
  context.add(node);
  context.setIntegers(output, { ...integers, quantized });
  return { by: 'Transpose' };
};
