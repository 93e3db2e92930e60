import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, type Style, TORCH } from './net.ts';

/** Models of years ago: axes and sizes as attributes, other meanings of Softmax, weights among the inputs. */
const OLD: Style = { ...TORCH, producer: 'pytorch', opset: 9, irVersion: 4 };

const out = (net: Net, x: string, shape: readonly (number | string)[]) => net.output(x, 'float32', shape, 'output');

const gemm = (net: Net, x: string, from: number, to: number) =>
  net.op('Gemm', [x, net.weight([to, from]), net.weight([to])], { alpha: 1, beta: 1, transB: 1n });

/** x.view(x.size(0), -1), opset 9. */
function view(net: Net, x: string): string {
  const size = net.op('Gather', [net.op('Shape', [x]), net.int(0)], { axis: 0n });
  const parts = [size, net.int(-1)].map((one) => net.op('Unsqueeze', [one], { axes: [0n] }));
  return net.op('Reshape', [x, net.op('Concat', parts, { axis: 0n })]);
}

/** Scale, bias, mean and variance of two channels. */
const statistics = (net: Net) => [
  net.weight([2], 1),
  net.weight([2]),
  net.weight([2]),
  net.table('float32', [2], [1, 2]),
];

const CASES: readonly Case[] = [
  {
    name: 'AlexNet of opset 9, LRN, Dropout, view',
    inputs: { input: free(floats([2, 6, 6]), 'batch', 2, 6, 6) },
    write(net, input) {
      const weights = [net.weight([4, 2, 3, 3]), net.weight([4])];
      const features = net.op('Relu', [
        net.op('Conv', [input!, ...weights], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
      ]);
      const normal = net.op('LRN', [features], { size: 3n, alpha: 1e-4, beta: 0.75, bias: 1 });
      const pooled = net.op('MaxPool', [normal], { kernel_shape: [2n, 2n], strides: [2n, 2n] });
      const flat = net.op('Dropout', [view(net, pooled)], { ratio: 0.5 });
      out(net, net.op('LogSoftmax', [gemm(net, flat, 36, 3)], { axis: 1n }), ['batch', 3]);
    },
  },
  {
    name: 'weights among the inputs, IR version 3',
    inputs: { input: free(floats([4]), 'batch', 4) },
    write(net, input) {
      const [weight, bias] = [net.weight([3, 4]), net.weight([3])];
      out(net, net.op('Gemm', [input!, weight, bias], { transB: 1n }), ['batch', 3]);
      net.input(weight, 'float32', [3, 4]);
      net.input(bias, 'float32', [3]);
    },
    style: { irVersion: 3 },
  },
  {
    name: 'Softmax of opset 9 on axis 1 of three: all of a row',
    inputs: { input: floats([2, 3]) },
    write: (net, input) => out(net, net.op('Softmax', [input!], { axis: 1n }), ['batch', 2, 3]),
  },
  {
    name: 'Softmax of opset 9 on axis 0: all of the batch',
    operator: 'Softmax',
    inputs: { input: floats([2, 3], { special: false }) },
    write: (net, input) => out(net, net.op('Softmax', [input!], { axis: 0n }), ['batch', 2, 3]),
  },
  {
    name: 'Upsample, Pad and Slice with attributes',
    inputs: { input: floats([2, 3, 3]) },
    write(net, input) {
      const large = net.op('Upsample', [input!, net.constant('float32', [4], [1, 1, 2, 2])], { mode: 'nearest' });
      const padded = net.op('Pad', [large], { mode: 'reflect', pads: [0n, 0n, 1n, 1n, 0n, 0n, 1n, 1n] });
      const cut = net.op('Slice', [padded], { axes: [2n, 3n], starts: [1n, 0n], ends: [-1n, 5n] });
      out(net, net.op('Clip', [cut], { min: -1, max: 1 }), ['batch', 2, 6, 5]);
    },
  },
  {
    name: 'Slice of axis 0 with attributes',
    operator: 'Slice',
    inputs: { input: floats([3]) },
    write: (net, input) => out(net, net.op('Slice', [input!], { axes: [0n], starts: [0n], ends: [1n] }), [1, 3]),
  },
  {
    name: 'Slice of axis 0 that keeps all rows',
    inputs: { input: floats([3]) },
    write(net, input) {
      const all = net.op('Slice', [input!], { axes: [0n], starts: [0n], ends: [9_223_372_036_854_775_807n] });
      out(net, net.op('Slice', [all], { axes: [1n], starts: [1n], ends: [9_223_372_036_854_775_807n] }), ['batch', 2]);
    },
  },
  {
    name: 'ReduceSum, Squeeze, Split and TopK with attributes',
    inputs: { input: floats([4, 2], { special: false }) },
    write(net, input) {
      const [left, right] = net.ops('Split', [input!], 2, { axis: 2n, split: [1n, 1n] });
      const sum = net.op('Add', [
        net.op('Squeeze', [left!], { axes: [2n] }),
        net.op('ReduceSum', [right!], { axes: [2n], keepdims: 0n }),
      ]);
      const [best] = net.ops('TopK', [sum], 2, { axis: -1n, k: 2n });
      out(net, best!, ['batch', 2]);
    },
  },
  {
    name: 'InstanceNormalization, PRelu, GlobalMaxPool',
    inputs: { input: floats([2, 3, 3]) },
    write(net, input) {
      const normal = net.op('InstanceNormalization', [input!, net.weight([2], 1), net.weight([2])], { epsilon: 1e-5 });
      const bent = net.op('PRelu', [normal, net.weight([2, 1, 1])]);
      out(net, net.op('Squeeze', [net.op('GlobalMaxPool', [bent])], { axes: [2n, 3n] }), ['batch', 2]);
    },
  },
  {
    name: 'InstanceNormalization of the batch as one image',
    operator: 'InstanceNormalization',
    inputs: { input: floats([2], { special: false }) },
    write(net, input) {
      const columns = net.op('Transpose', [input!], { perm: [1n, 0n] });
      const one = net.op('Unsqueeze', [columns], { axes: [0n] });
      const normal = net.op('InstanceNormalization', [one, net.weight([2], 1), net.weight([2])], { epsilon: 1e-5 });
      out(net, net.op('Transpose', [net.op('Squeeze', [normal], { axes: [0n] })], { perm: [1n, 0n] }), ['batch', 2]);
    },
  },
  {
    name: 'BatchNormalization of opset 15 at inference',
    inputs: { input: floats([2, 3], { special: false }) },
    write(net, input) {
      const y = net.op('BatchNormalization', [input!, ...statistics(net)], { epsilon: 1e-5, training_mode: 0n });
      out(net, y, ['batch', 2, 3]);
    },
    style: { opset: 15, irVersion: 8 },
  },
  {
    name: 'BatchNormalization of opset 15 left in training mode',
    operator: 'BatchNormalization',
    inputs: { input: floats([2, 3], { special: false }) },
    write(net, input) {
      const [y] = net.ops('BatchNormalization', [input!, ...statistics(net)], 3, { epsilon: 1e-5, training_mode: 1n });
      out(net, y!, ['batch', 2, 3]);
    },
    style: { opset: 15, irVersion: 8 },
  },
  {
    name: 'bilinear pooling, MatMul of features with their own transpose',
    inputs: { input: floats([2, 4]) },
    write(net, input) {
      const turned = net.op('Transpose', [input!], { perm: [0n, 2n, 1n] });
      const product = net.op('MatMul', [input!, turned]);
      out(net, view(net, product), ['batch', 4]);
    },
  },
  {
    name: 'Gram matrix of the batch, MatMul of the transpose with itself',
    operator: 'MatMul',
    inputs: { input: floats([3]) },
    write(net, input) {
      const turned = net.op('Transpose', [input!], { perm: [1n, 0n] });
      out(net, net.op('MatMul', [turned, input!]), [3, 3]);
    },
  },
  {
    name: 'ids looked up by Gather in a table that is cut from the weights',
    inputs: { input: ids([3], 4) },
    write(net, input) {
      const table = net.op('Slice', [net.weight([6, 2])], { axes: [0n], starts: [1n], ends: [5n] });
      out(net, view(net, net.op('Gather', [table, input!], { axis: 0n })), ['batch', 6]);
    },
  },
];

export const OLD_OPSETS: readonly ExportedGraph[] = graphsOf('torch of years ago', OLD, CASES);
