import { intOf } from '../../attributes.ts';
import type { Rewrite } from './context.ts';

const CONTRIB = 'com.microsoft';
/** Attributes that onnxruntime's QAttention takes from an Attention, and applies. */
const ATTENTION_ATTRIBUTES: ReadonlySet<string> = new Set(['num_heads', 'unidirectional', 'mask_filter_value']);
/** The last input of an Attention that a QAttention has: its key and value of before. */
const LAST_ATTENTION_INPUT = 4;

/** Attention of onnxruntime: QAttention, with a scale for each column of the weight. */
export const rewriteAttention: Rewrite = async (node, context) => {
  const unknown = node.attribute.find(({ name }) => !ATTENTION_ATTRIBUTES.has(name));
  if (unknown !== undefined) return { reason: `QAttention does not have its attribute ${unknown.name}` };
  const extra = node.input.findIndex((name, i) => name !== '' && i > LAST_ATTENTION_INPUT);
  if (extra !== -1) return { reason: `QAttention does not have its input ${node.input[extra]}` };
  const weight = context.weightOf(node, 1);
  if (typeof weight === 'string') return { reason: weight };
  if (weight.dims.length !== 2) return { reason: `its weight ${weight.name} is no matrix` };
  const [input = '', , bias = '', mask = '', past = ''] = node.input;
  const right = await context.weights.linear(weight, -1);
  const left = context.quantize(input, 'uint8');
  const inputs = [
    left.quantized,
    right.quantized,
    bias,
    left.scale,
    right.scale,
    mask,
    left.zeroPoint,
    right.zeroPoint,
    past,
  ];
  const named = { name: quantName(node.name, context.names), domain: CONTRIB };
  context.create('QAttention', inputs, node.output, {}, named).attribute = node.attribute;
  return { by: 'QAttention' };
};

/** LSTM: DynamicQuantizeLSTM, which quantizes its input and its state itself. */
export const rewriteLstm: Rewrite = async (node, context) => {
  if (intOf(node, 'layout', 0) !== 0) return { reason: 'DynamicQuantizeLSTM has no layout with the batch in front' };
  const weight = context.weightOf(node, 1);
  if (typeof weight === 'string') return { reason: weight };
  const recurrence = context.weightOf(node, 2);
  if (typeof recurrence === 'string') return { reason: recurrence };
  if (weight.dims.length !== 3 || recurrence.dims.length !== 3) return { reason: 'its weights have not three axes' };
  const w = await context.weights.ofLstm(weight);
  const r = await context.weights.ofLstm(recurrence);
  for (const name of node.input) context.dequantize(name);
  const [input = ''] = node.input;
  const others = Array.from({ length: 5 }, (_, i) => node.input[i + 3] ?? '');
  const scales = [w.scale, w.zeroPoint, r.scale, r.zeroPoint];
  const inputs = [input, w.quantized, r.quantized, ...others, ...scales];
  const named = { name: quantName(node.name, context.names), domain: CONTRIB };
  const made = context.create('DynamicQuantizeLSTM', inputs, node.output, {}, named);
  made.attribute = node.attribute.filter(({ name }) => name !== 'layout');
  return { by: 'DynamicQuantizeLSTM' };
};

const quantName = (name: string, names: (base: string) => string): string =>
  name === '' ? '' : names(`${name}_quant`);

/** onnxruntime has no such operator for the CPU. */
export const rewriteGru: Rewrite = async () => ({ reason: 'onnxruntime has no quantized GRU' });
