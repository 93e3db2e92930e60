import { createRandom } from '../../../scripts/fuzz/random.ts';
import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, OPTIMIZED } from './net.ts';

/** int8 as onnxruntime.quantization writes it: QDQ, QOperator, and dynamic, whose scales are those of the batch. */
const FLOAT = 1n;

/** What NaN becomes as an integer is the processor's choice. */
const plain = (dims: readonly number[]) => floats(dims, { special: false });

function bytes(net: Net, dtype: 'int8' | 'uint8', dims: readonly number[]): string {
  const random = createRandom(dims.join().length + dims[0]!);
  const length = dims.reduce((product, dim) => product * dim, 1);
  const list = Array.from({ length }, () => random.int(200) - (dtype === 'int8' ? 100 : 0));
  return net.table(dtype, dims, list);
}

const scale = (net: Net, size: number) => net.table('float32', [], [size]);
const zero = (net: Net, dtype: 'int8' | 'uint8', at = 0) => net.table(dtype, [], [at]);

/** Quantised and back, with a fixed scale. */
function qdq(net: Net, x: string, size: number): string {
  const parameters = [scale(net, size), zero(net, 'uint8', 128)];
  const quantised = net.op('QuantizeLinear', [x, ...parameters]);
  return net.op('DequantizeLinear', [quantised, ...parameters]);
}

/** A weight of int8 with a scale for each channel. */
function channels(net: Net, dims: readonly number[], axis: number): string {
  const count = dims[axis]!;
  const sizes = net.table(
    'float32',
    [count],
    Float32Array.from({ length: count }, (_, i) => 1 / (64 + i)),
  );
  const zeros = net.table('int8', [count], new Int8Array(count));
  return net.op('DequantizeLinear', [bytes(net, 'int8', dims), sizes, zeros], { axis: BigInt(axis) });
}

const conv3 = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], strides: [1n, 1n] };
const out = (net: Net, x: string, shape: readonly (number | string)[]) => net.output(x, 'float32', shape, 'output');

/** x [rows, 4] quantised by the smallest and largest value of the whole batch, as dynamic quantisation does. */
function dynamicMatMul(net: Net, x: string): string {
  const [quantised, size, at] = net.ops('DynamicQuantizeLinear', [x], 3);
  const product = net.op('MatMulInteger', [quantised!, bytes(net, 'uint8', [4, 3]), at!, zero(net, 'uint8', 100)]);
  const factor = net.op('Mul', [size!, scale(net, 0.02)]);
  return net.op('Mul', [net.op('Cast', [product], { to: FLOAT }), factor]);
}

const CASES: readonly Case[] = [
  {
    name: 'QDQ, convolution and Gemm',
    inputs: { input: plain([2, 4, 4]) },
    write(net, input) {
      const x = qdq(net, input!, 0.05);
      const features = net.op('Relu', [net.op('Conv', [x, channels(net, [3, 2, 3, 3], 0)], conv3)]);
      const pooled = net.op('GlobalAveragePool', [qdq(net, features, 0.1)]);
      const flat = net.op('Flatten', [qdq(net, pooled, 0.05)], { axis: 1n });
      out(net, net.op('Gemm', [flat, channels(net, [4, 3], 0), net.weight([4])], { transB: 1n }), ['batch', 4]);
    },
  },
  {
    name: 'QDQ, MatMul of tokens',
    inputs: { hidden: free(plain([3, 4]), 'batch', 'sequence', 4) },
    write(net, hidden) {
      const product = net.op('MatMul', [qdq(net, hidden!, 0.03), channels(net, [4, 4], 1)]);
      const scores = net.op('Add', [qdq(net, product, 0.06), net.weight([4])]);
      out(net, net.op('Softmax', [scores], { axis: -1n }), ['batch', 'sequence', 4]);
    },
  },
  {
    name: 'QOperator, QLinearConv and QLinearMatMul',
    inputs: { input: plain([2, 4, 4]) },
    write(net, input) {
      const [small, at] = [scale(net, 0.05), zero(net, 'uint8', 128)];
      const quantised = net.op('QuantizeLinear', [input!, small, at]);
      const weights = [bytes(net, 'int8', [2, 2, 3, 3]), scale(net, 0.01), zero(net, 'int8')];
      const features = net.op('QLinearConv', [quantised, small, at, ...weights, small, at], conv3);
      const flat = net.op('Reshape', [features, net.ints(-1, 32)]);
      const last = [bytes(net, 'int8', [32, 3]), scale(net, 0.01), zero(net, 'int8'), scale(net, 0.1), at];
      const product = net.op('QLinearMatMul', [flat, small, at, ...last]);
      out(net, net.op('DequantizeLinear', [product, scale(net, 0.1), at]), ['batch', 3]);
    },
  },
  {
    name: 'QOperator, com.microsoft QLinearAdd, QLinearSigmoid and QLinearGlobalAveragePool',
    inputs: { input: plain([2, 4, 4]) },
    write(net, input) {
      const [size, at] = [scale(net, 0.05), zero(net, 'uint8', 128)];
      const quantised = net.op('QuantizeLinear', [input!, size, at]);
      const gate = net.op('ms:QLinearSigmoid', [quantised, size, at, size, at]);
      const sum = net.op('ms:QLinearAdd', [quantised, size, at, gate, size, at, size, at]);
      const pooled = net.op('ms:QLinearGlobalAveragePool', [sum, size, at, size, at], { channels_last: 0n });
      const flat = net.op('Reshape', [net.op('DequantizeLinear', [pooled, size, at]), net.ints(-1, 2)]);
      out(net, flat, ['batch', 2]);
    },
  },
  {
    name: 'MatMulInteger with a fixed scale',
    inputs: { input: plain([4]) },
    write(net, input) {
      const at = zero(net, 'uint8', 128);
      const quantised = net.op('QuantizeLinear', [input!, scale(net, 0.05), at]);
      const product = net.op('MatMulInteger', [quantised, bytes(net, 'uint8', [4, 3]), at, zero(net, 'uint8', 100)]);
      out(net, net.op('Mul', [net.op('Cast', [product], { to: FLOAT }), scale(net, 0.001)]), ['batch', 3]);
    },
  },
  {
    name: 'bytes in, bytes out',
    inputs: { input: ids([4], 256, { dtype: 'uint8' }) },
    write(net, input) {
      const [size, at] = [scale(net, 0.05), zero(net, 'uint8', 128)];
      const weights = [bytes(net, 'int8', [4, 3]), scale(net, 0.01), zero(net, 'int8')];
      net.output(net.op('QLinearMatMul', [input!, size, at, ...weights, size, at]), 'uint8', ['batch', 3], 'output');
    },
  },
  {
    name: 'dynamic, DynamicQuantizeLinear and MatMulInteger',
    operator: 'DynamicQuantizeLinear',
    inputs: { input: plain([4]) },
    write: (net, input) => out(net, dynamicMatMul(net, input!), ['batch', 3]),
  },
  {
    name: 'dynamic, the label alone as output',
    operator: 'DynamicQuantizeLinear',
    inputs: { input: plain([4]) },
    write(net, input) {
      const label = net.op('ArgMax', [dynamicMatMul(net, input!)], { axis: 1n, keepdims: 0n });
      net.output(label, 'int64', ['batch'], 'label');
    },
  },
  {
    name: 'dynamic, ConvInteger',
    operator: 'DynamicQuantizeLinear',
    inputs: { input: plain([2, 4, 4]) },
    write(net, input) {
      const [quantised, size, at] = net.ops('DynamicQuantizeLinear', [input!], 3);
      const weights = bytes(net, 'uint8', [2, 2, 3, 3]);
      const sum = net.op('ConvInteger', [quantised!, weights, at!, zero(net, 'uint8', 100)], conv3);
      const factor = net.op('Mul', [size!, scale(net, 0.02)]);
      out(net, net.op('Mul', [net.op('Cast', [sum], { to: FLOAT }), factor]), ['batch', 2, 4, 4]);
    },
  },
  {
    name: 'dynamic, com.microsoft DynamicQuantizeMatMul',
    operator: 'DynamicQuantizeMatMul',
    inputs: { input: plain([4]) },
    write(net, input) {
      const weights = [bytes(net, 'int8', [4, 3]), scale(net, 0.02), zero(net, 'int8')];
      out(net, net.op('ms:DynamicQuantizeMatMul', [input!, ...weights, net.weight([3])]), ['batch', 3]);
    },
  },
  {
    name: 'dynamic, com.microsoft DynamicQuantizeLSTM',
    operator: 'DynamicQuantizeLSTM',
    inputs: { input: plain([3, 4]) },
    write(net, input) {
      const turned = net.op('Transpose', [input!], { perm: [1n, 0n, 2n] });
      const weights = [bytes(net, 'int8', [1, 4, 16]), bytes(net, 'int8', [1, 4, 16]), net.weight([1, 32])];
      const sizes = [0, 1].flatMap(() => [net.table('float32', [1], [0.01]), net.table('int8', [1], [0])]);
      const [, state] = net.ops('ms:DynamicQuantizeLSTM', [turned, ...weights, '', '', '', '', ...sizes], 3, {
        hidden_size: 4n,
      });
      out(net, net.op('Squeeze', [state!, net.ints(0)]), ['batch', 4]);
    },
  },
  {
    name: 'dynamic by hand, a scale for each row',
    inputs: { input: plain([4]) },
    write: (net, input) => out(net, scaledByMost(net, input!, [1n]), ['batch', 3]),
  },
  {
    name: 'dynamic by hand, one scale for the batch',
    operator: 'ReduceMax',
    inputs: { input: plain([4]) },
    write: (net, input) => out(net, scaledByMost(net, input!, undefined), ['batch', 3]),
  },
  {
    name: '4-bit weights, com.microsoft MatMulNBits',
    inputs: { input: plain([16]) },
    write(net, input) {
      const weights = [bytes(net, 'uint8', [3, 1, 8]), net.weight([3])];
      const product = net.op('ms:MatMulNBits', [input!, ...weights], { K: 16n, N: 3n, bits: 4n, block_size: 16n });
      out(net, product, ['batch', 3]);
    },
  },
  {
    name: 'half floats, Cast in and out',
    inputs: { input: plain([4]) },
    write(net, input) {
      const half = net.op('Cast', [input!], { to: 10n });
      const weights = net.op('Cast', [net.weight([4, 3])], { to: 10n });
      out(net, net.op('Cast', [net.op('MatMul', [half, weights])], { to: FLOAT }), ['batch', 3]);
    },
  },
];

/** Values to whole steps of a 127th of the largest, of each row or of all. */
function scaledByMost(net: Net, x: string, axes: readonly bigint[] | undefined): string {
  const most = net.op('ReduceMax', [net.op('Abs', [x])], { ...(axes && { axes }), keepdims: 1n });
  const step = net.op('Div', [net.op('Max', [most, net.float(1e-6)]), net.float(127)]);
  const whole = net.op('Round', [net.op('Div', [x, step])]);
  return net.op('MatMul', [net.op('Mul', [whole, step]), net.weight([4, 3])]);
}

export const QUANTIZED: readonly ExportedGraph[] = graphsOf('quantized', OPTIMIZED, CASES);
