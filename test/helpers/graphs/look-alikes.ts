import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, free, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { gemm, linear, sizeOf, sizes } from './torch-parts.ts';

/**
 * Graphs whose outputs have a row for each row fed, beside those whose outputs have them by right: here the shape tells
 * nothing of whether rows are mixed.
 */
const FLOAT = 1n;

const plain = (...dims: number[]): Feed => floats(dims, { special: false });
const out = (net: Net, x: string, shape: readonly (number | string)[]) => net.output(x, 'float32', shape, 'output');

/** A table of positions [12,4] cut to the size of one axis of `x`. */
function positions(net: Net, x: string, axis: number): string {
  const end = net.op('Unsqueeze', [sizeOf(net, x, axis), net.ints(0)]);
  return net.op('Slice', [net.weight([12, 4], 1), net.ints(0), end, net.ints(0), net.ints(1)]);
}

/** The size of one axis of `x` as a float. */
const sizeAsFloat = (net: Net, x: string, axis: number) => net.op('Cast', [sizeOf(net, x, axis)], { to: FLOAT });

const CASES: readonly Case[] = [
  {
    name: 'heads merged after Transpose back, Reshape [-1,6]',
    inputs: { x: plain(2, 3) },
    write(net, x) {
      const turned = net.op('Transpose', [net.op('Tanh', [net.op('Transpose', [x!], { perm: [1n, 0n, 2n] })])], {
        perm: [1n, 0n, 2n],
      });
      out(net, net.op('Reshape', [turned, net.ints(-1, 6)]), ['batch', 6]);
    },
  },
  {
    name: 'heads merged without Transpose back, Reshape [-1,6]',
    operator: 'Reshape',
    inputs: { x: plain(2, 3) },
    write(net, x) {
      const turned = net.op('Tanh', [net.op('Transpose', [x!], { perm: [1n, 0n, 2n] })]);
      out(net, net.op('Reshape', [turned, net.ints(-1, 6)]), ['batch', 6]);
    },
  },
  {
    name: 'columns by Transpose of Transpose',
    inputs: { x: plain(4) },
    write(net, x) {
      const columns = net.op('Softmax', [net.op('Transpose', [x!])], { axis: 0n });
      out(net, net.op('Transpose', [columns]), ['batch', 4]);
    },
  },
  {
    name: 'columns by Reshape [4,-1], and Transpose',
    operator: 'Reshape',
    inputs: { x: plain(4) },
    write(net, x) {
      const columns = net.op('Reshape', [x!, net.ints(4, -1)]);
      out(net, net.op('Transpose', [columns], { perm: [1n, 0n] }), ['batch', 4]);
    },
  },
  {
    name: 'weights from the left, Transpose(W @ x.T)',
    inputs: { x: plain(4) },
    write(net, x) {
      const product = net.op('MatMul', [net.weight([3, 4]), net.op('Transpose', [x!], { perm: [1n, 0n] })]);
      out(net, net.op('Transpose', [product], { perm: [1n, 0n] }), ['batch', 3]);
    },
  },
  {
    name: 'Gemm with transA of columns',
    inputs: { x: plain(4) },
    write(net, x) {
      const columns = net.op('Transpose', [x!], { perm: [1n, 0n] });
      out(net, net.op('Gemm', [columns, net.weight([4, 3])], { transA: 1n }), ['batch', 3]);
    },
  },
  {
    name: 'difference to a target [batch,1], mean over axis 1',
    inputs: { x: plain(1), target: plain(1) },
    write(net, x, target) {
      const difference = net.op('Sub', [x!, target!]);
      out(net, net.op('ReduceMean', [difference], { axes: [1n], keepdims: 0n }), ['batch']);
    },
  },
  {
    name: 'difference of [batch] to a target [batch,1], mean over axis 1: each row with each',
    operator: 'Sub',
    inputs: { x: plain(1), target: plain(1) },
    write(net, x, target) {
      const difference = net.op('Sub', [net.op('Squeeze', [x!, net.ints(1)]), target!]);
      out(net, net.op('ReduceMean', [difference], { axes: [1n], keepdims: 0n }), ['batch']);
    },
  },
  {
    name: 'bias of each row, unsqueezed',
    inputs: { x: plain(3, 3), bias: plain(3) },
    write: (net, x, bias) => out(net, net.op('Add', [x!, net.op('Unsqueeze', [bias!, net.ints(1)])]), ['batch', 3, 3]),
  },
  {
    name: 'bias of each row, not unsqueezed: its rows meet axis 1',
    operator: 'Add',
    inputs: { x: plain(3, 3), bias: plain(3) },
    write: (net, x, bias) => out(net, net.op('Add', [x!, bias!]), ['batch', 3, 3]),
  },
  {
    name: 'each row times a matrix of its own',
    inputs: { x: plain(4), y: plain(4, 2) },
    write(net, x, y) {
      const product = net.op('MatMul', [net.op('Unsqueeze', [x!, net.ints(1)]), y!]);
      out(net, net.op('Squeeze', [product, net.ints(1)]), ['batch', 2]);
    },
  },
  {
    name: 'all rows times the matrix of each',
    operator: 'MatMul',
    inputs: { x: plain(4), y: plain(4, 2) },
    write(net, x, y) {
      const product = net.op('MatMul', [x!, y!]);
      out(net, net.op('ReduceMean', [product], { axes: [1n], keepdims: 0n }), ['batch', 2]);
    },
  },
  {
    name: 'positions of the sequence on axis 1',
    inputs: { x: free(plain(3, 4), 'batch', 'sequence', 4) },
    write: (net, x) => out(net, net.op('Add', [x!, positions(net, x!, 1)]), ['batch', 'sequence', 4]),
  },
  {
    name: 'positions of the rows: PositionalEncoding that takes axis 0 for the sequence',
    operator: 'Add',
    inputs: { x: free(plain(3, 4), 'batch', 'sequence', 4) },
    write(net, x) {
      const wide = net.op('Unsqueeze', [positions(net, x!, 0), net.ints(1)]);
      out(net, net.op('Add', [x!, wide]), ['batch', 'sequence', 4]);
    },
  },
  {
    name: 'divided by the length of the sequence',
    inputs: { x: free(plain(5), 'batch', 'sequence') },
    write: (net, x) => out(net, net.op('Div', [x!, sizeAsFloat(net, x!, 1)]), ['batch', 'sequence']),
  },
  {
    name: 'divided by the number of rows',
    operator: 'Div',
    inputs: { x: plain(5) },
    write: (net, x) => out(net, net.op('Div', [x!, sizeAsFloat(net, x!, 0)]), ['batch', 5]),
  },
  {
    name: 'divided by the number of all values',
    operator: 'Div',
    inputs: { x: plain(5) },
    write(net, x) {
      out(net, net.op('Div', [x!, net.op('Cast', [net.op('Size', [x!])], { to: FLOAT })]), ['batch', 5]);
    },
  },
  {
    name: 'number of the row by Range, as a feature',
    operator: 'Cast',
    inputs: { x: plain(2) },
    write(net, x) {
      const range = net.op('Range', [net.int(0), sizeOf(net, x!, 0), net.int(1)]);
      const column = net.op('Unsqueeze', [net.op('Cast', [range], { to: FLOAT }), net.ints(1)]);
      out(net, net.op('Concat', [x!, column], { axis: 1n }), ['batch', 3]);
    },
  },
  {
    name: 'ones of the size of the batch, as a feature',
    inputs: { x: plain(2) },
    write(net, x) {
      const ones = net.op('Expand', [net.float(1), sizes(net, sizeOf(net, x!, 0), 1)]);
      out(net, net.op('Concat', [x!, ones], { axis: 1n }), ['batch', 3]);
    },
  },
  {
    // Rows are independent. To prove it is to know that the Range gives each row its own number.
    name: 'last token of each row by GatherND of its number and its length',
    verdict: 'proved',
    inputs: { x: plain(4, 2), length: ids([], 5, { from: 1 }) },
    write(net, x, length) {
      const range = net.op('Range', [net.int(0), sizeOf(net, x!, 0), net.int(1)]);
      const last = net.op('Sub', [length!, net.int(1)]);
      const index = net.op(
        'Concat',
        [range, last].map((one) => net.op('Unsqueeze', [one, net.ints(1)])),
        { axis: 1n },
      );
      out(net, net.op('GatherND', [x!, index]), ['batch', 2]);
    },
  },
  {
    name: 'last token of each row by GatherElements',
    inputs: { x: plain(4, 2), length: ids([], 5, { from: 1 }) },
    write(net, x, length) {
      const last = net.op('Unsqueeze', [net.op('Sub', [length!, net.int(1)]), net.ints(1, 2)]);
      const index = net.op('Expand', [last, net.ints(1, 1, 2)]);
      out(net, net.op('Squeeze', [net.op('GatherElements', [x!, index], { axis: 1n }), net.ints(1)]), ['batch', 2]);
    },
  },
  {
    name: 'Trilu of each row, [batch,3,3]',
    inputs: { x: plain(3, 3) },
    write: (net, x) => out(net, net.op('Trilu', [x!], { upper: 0n }), ['batch', 3, 3]),
  },
  {
    name: 'Trilu over rows and columns, [batch,3]',
    operator: 'Trilu',
    inputs: { x: plain(3) },
    write: (net, x) => out(net, net.op('Trilu', [x!], { upper: 0n }), ['batch', 3]),
  },
  {
    name: 'EyeLike: a 1 in the column of the row',
    operator: 'EyeLike',
    inputs: { x: plain(3) },
    write: (net, x) => out(net, net.op('Add', [x!, net.op('EyeLike', [x!])]), ['batch', 3]),
  },
  {
    name: 'softmax(dim=-2) of [batch,2,3]',
    inputs: { x: plain(2, 3) },
    write: (net, x) => out(net, net.op('Softmax', [x!], { axis: -2n }), ['batch', 2, 3]),
  },
  {
    name: 'softmax(dim=-2) of [batch,3]',
    operator: 'Softmax',
    inputs: { x: plain(3) },
    write: (net, x) => out(net, net.op('Softmax', [x!], { axis: -2n }), ['batch', 3]),
  },
  {
    name: 'MeanVarianceNormalization of channels and space',
    inputs: { x: plain(2, 2, 2) },
    write: (net, x) => out(net, net.op('MeanVarianceNormalization', [x!], { axes: [1n, 2n, 3n] }), ['batch', 2, 2, 2]),
  },
  {
    name: 'MeanVarianceNormalization of its default axes, rows among them',
    operator: 'MeanVarianceNormalization',
    inputs: { x: plain(2, 2, 2) },
    write: (net, x) => out(net, net.op('MeanVarianceNormalization', [x!]), ['batch', 2, 2, 2]),
  },
  {
    name: 'LpNormalization of rows',
    inputs: { x: plain(3) },
    write: (net, x) => out(net, net.op('LpNormalization', [x!], { axis: 1n, p: 2n }), ['batch', 3]),
  },
  {
    name: 'LpNormalization of columns of the batch',
    operator: 'LpNormalization',
    inputs: { x: plain(3) },
    write: (net, x) => out(net, net.op('LpNormalization', [x!], { axis: 0n, p: 2n }), ['batch', 3]),
  },
  {
    name: 'ReverseSequence of each row up to its length',
    inputs: { x: plain(4, 2), lengths: ids([], 5, { from: 1 }) },
    write(net, x, lengths) {
      const attributes = { batch_axis: 0n, time_axis: 1n };
      out(net, net.op('ReverseSequence', [x!, lengths!], attributes), ['batch', 4, 2]);
    },
  },
  {
    name: 'loss of the batch that no output reads',
    inputs: { x: plain(3) },
    write(net, x) {
      const y = gemm(net, x!, 3, 2);
      net.op('ReduceMean', [y], { keepdims: 0n });
      out(net, y, ['batch', 2]);
    },
  },
  {
    name: 'row of the largest value of the batch in all rows, Where',
    operator: 'ReduceMax',
    inputs: { x: plain(3) },
    write(net, x) {
      const y = linear(net, x!, 3, 3);
      const most = net.op('ReduceMax', [y], { keepdims: 0n });
      out(net, net.op('Where', [net.op('Equal', [y, most]), y, net.float(0)]), ['batch', 3]);
    },
  },
  {
    name: 'outer product of two rows, einsum ni,nj->nij',
    inputs: { x: plain(2), y: plain(3) },
    write: (net, x, y) => out(net, net.op('Einsum', [x!, y!], { equation: 'ni,nj->nij' }), ['batch', 2, 3]),
  },
  {
    name: 'space moved to the axis of rows and back, as of a dilated convolution',
    inputs: { x: plain(1, 4) },
    write(net, x) {
      const split = net.op('Transpose', [net.op('Reshape', [x!, net.ints(-1, 1, 2, 2)])], { perm: [3n, 0n, 1n, 2n] });
      const blocks = net.op('Reshape', [split, net.ints(-1, 1, 2)]);
      const filtered = net.op('Conv', [blocks, net.weight([1, 1, 1])], { kernel_shape: [1n] });
      const back = net.op('Transpose', [net.op('Reshape', [filtered, net.ints(2, -1, 1, 2)])], {
        perm: [1n, 2n, 3n, 0n],
      });
      out(net, net.op('Reshape', [back, net.ints(-1, 1, 4)]), ['batch', 1, 4]);
    },
  },
  {
    name: 'space moved to the axis of rows, and back in the wrong order',
    operator: 'Reshape',
    inputs: { x: plain(1, 4) },
    write(net, x) {
      const split = net.op('Transpose', [net.op('Reshape', [x!, net.ints(-1, 1, 2, 2)])], { perm: [3n, 0n, 1n, 2n] });
      const blocks = net.op('Reshape', [split, net.ints(-1, 1, 2)]);
      out(net, net.op('Reshape', [blocks, net.ints(-1, 1, 4)]), ['batch', 1, 4]);
    },
  },
];

export const LOOK_ALIKES: readonly ExportedGraph[] = graphsOf('look-alikes', TORCH, CASES);
