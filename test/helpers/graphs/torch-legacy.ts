import { type Case, graphsOf } from './cases.ts';
import { type Feed, floats, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { conv, gemm, layerNormParts, linear, relu, sizeOf, sizes } from './torch-parts.ts';

type Write = (net: Net, x: string, y: string) => void;

function withFloats(name: string, dims: readonly number[], write: Write, operator?: string, special = true): Case {
  return { name, inputs: { input: floats(dims, { special }) }, write, ...(operator !== undefined && { operator }) };
}

function withTwo(name: string, dims: [number[], number[]], write: Write, operator?: string): Case {
  const [x, y] = dims.map((list) => floats(list)) as [Feed, Feed];
  return { name, inputs: { x, y }, write, ...(operator !== undefined && { operator }) };
}

const out = (net: Net, x: string, shape: readonly (number | string)[]) => net.output(x, 'float32', shape, 'output');

/** The sizes of a batch and the rest, flat: `x.view(x.size(0), -1)`. */
const view = (net: Net, x: string) => net.op('Reshape', [x, sizes(net, sizeOf(net, x, 0), -1)]);

const CASES: readonly Case[] = [
  withFloats('MLP, Gemm and Relu', [6], (net, x) => {
    out(net, gemm(net, relu(net, gemm(net, x, 6, 8)), 8, 3), ['batch', 3]);
  }),
  withFloats('LeNet, view(size(0), -1)', [1, 8, 8], (net, x) => {
    const features = relu(net, conv(net, x, { from: 1, to: 3 }));
    const pooled = net.op('MaxPool', [features], { kernel_shape: [2n, 2n], strides: [2n, 2n], pads: [0n, 0n, 0n, 0n] });
    out(net, gemm(net, view(net, pooled), 48, 4), ['batch', 4]);
  }),
  withFloats(
    'image in stripes, view(-1, width) taken for rows',
    [1, 4, 4],
    (net, x) => out(net, gemm(net, net.op('Reshape', [x, net.ints(-1, 4)]), 4, 2), ['M', 2]),
    'Reshape',
    false,
  ),
  withFloats('LayerNorm in parts', [5], (net, x) =>
    out(net, layerNormParts(net, linear(net, x, 5, 5), 5), ['batch', 5]),
  ),
  withFloats('GroupNorm by InstanceNormalization of [0, groups, -1]', [4, 3, 3], (net, x) => {
    const grouped = net.op('Reshape', [x, net.ints(0, 2, -1)]);
    const scale = net.table('float32', [2], [1, 1]);
    const normal = net.op('InstanceNormalization', [grouped, scale, net.table('float32', [2], [0, 0])], {
      epsilon: 1e-5,
    });
    const back = net.op('Reshape', [normal, net.op('Shape', [x])]);
    const scaled = net.op('Mul', [back, net.weight([4, 1, 1])]);
    out(net, net.op('Add', [scaled, net.weight([4, 1, 1])]), ['batch', 4, 3, 3]);
  }),
  withFloats('PixelShuffle by a Reshape to six axes', [4, 3, 3], (net, x) => {
    const wide = net.op('Reshape', [x, net.ints(-1, 1, 2, 2, 3, 3)]);
    const turned = net.op('Transpose', [wide], { perm: [0n, 1n, 4n, 2n, 5n, 3n] });
    out(net, net.op('Reshape', [turned, net.ints(-1, 1, 6, 6)]), ['batch', 1, 6, 6]);
  }),
  withTwo(
    'products of the rows of two inputs, bmm',
    [
      [2, 3],
      [3, 2],
    ],
    (net, x, y) => {
      out(net, net.op('MatMul', [x, y]), ['batch', 2, 2]);
    },
  ),
  withTwo(
    'products of each row with each, x @ y.T',
    [[3], [3]],
    (net, x, y) => {
      const turned = net.op('Transpose', [y], { perm: [1n, 0n] });
      out(net, net.op('MatMul', [x, turned]), ['batch', 'batch']);
    },
    'MatMul',
  ),
  withTwo(
    'covariance, x.T @ y by Gemm with transA',
    [[3], [3]],
    (net, x, y) => out(net, net.op('Gemm', [x, y], { transA: 1n }), [3, 3]),
    'Gemm',
  ),
  withTwo(
    'einsum bij,bjk->bik',
    [
      [2, 3],
      [3, 2],
    ],
    (net, x, y) => {
      out(net, net.op('Einsum', [x, y], { equation: 'bij,bjk->bik' }), ['batch', 2, 2]);
    },
  ),
  withFloats('einsum nctv,vw->nctw, a graph convolution of joints', [2, 3, 4], (net, x) => {
    out(net, net.op('Einsum', [x, net.weight([4, 4])], { equation: 'nctv,vw->nctw' }), ['batch', 2, 3, 4]);
  }),
  withTwo(
    'einsum bi,ci->bc, each row with each',
    [[3], [3]],
    (net, x, y) => out(net, net.op('Einsum', [x, y], { equation: 'bi,ci->bc' }), ['batch', 'batch']),
    'Einsum',
  ),
  withFloats(
    'einsum bi->i, a sum over the batch',
    [3],
    (net, x) => out(net, net.op('Add', [x, net.op('Einsum', [x], { equation: 'bi->i' })]), ['batch', 3]),
    'Einsum',
    false,
  ),
  withFloats('distances to prototypes, x.unsqueeze(1) - c', [3], (net, x) => {
    const difference = net.op('Sub', [net.op('Unsqueeze', [x, net.ints(1)]), net.weight([1, 4, 3])]);
    out(net, net.op('Neg', [net.op('ReduceL2', [difference], { axes: [2n], keepdims: 0n })]), ['batch', 4]);
  }),
  withFloats(
    'distances between rows, x.unsqueeze(1) - x.unsqueeze(0)',
    [3],
    (net, x) => {
      const difference = net.op('Sub', [net.op('Unsqueeze', [x, net.ints(1)]), net.op('Unsqueeze', [x, net.ints(0)])]);
      out(net, net.op('ReduceL2', [difference], { axes: [2n], keepdims: 0n }), ['batch', 'batch']);
    },
    'Sub',
  ),
  withFloats('cumulative sum of a row', [5], (net, x) => out(net, net.op('CumSum', [x, net.int(1)]), ['batch', 5])),
  withFloats(
    'cumulative sum down the rows',
    [5],
    (net, x) => out(net, net.op('CumSum', [x, net.int(0)]), ['batch', 5]),
    'CumSum',
    false,
  ),
  withFloats('softmax(dim=-1)', [5], (net, x) => out(net, net.op('Softmax', [x], { axis: -1n }), ['batch', 5])),
  withFloats(
    'log_softmax(dim=0)',
    [5],
    (net, x) => out(net, net.op('LogSoftmax', [x], { axis: 0n }), ['batch', 5]),
    'LogSoftmax',
    false,
  ),
  withFloats(
    'three best of a row, TopK(dim=1)',
    [6],
    (net, x) => {
      const [best, at] = net.ops('TopK', [x, net.ints(3)], 2, { axis: 1n, largest: 1n, sorted: 1n });
      out(net, best!, ['batch', 3]);
      net.output(at!, 'int64', ['batch', 3], 'indices');
    },
    undefined,
    false,
  ),
  withFloats(
    'rows sorted by each column, TopK(dim=0) of all rows',
    [3],
    (net, x) => {
      const rows = net.op('Unsqueeze', [sizeOf(net, x, 0), net.ints(0)]);
      const [sorted] = net.ops('TopK', [x, rows], 2, { axis: 0n, largest: 0n, sorted: 1n });
      out(net, sorted!, ['batch', 3]);
    },
    'TopK',
    false,
  ),
  withFloats('halves of a row, chunk(2, dim=1)', [6], (net, x) => {
    const [left, right] = net.ops('Split', [x, net.ints(3, 3)], 2, { axis: 1n });
    out(net, net.op('Mul', [left!, net.op('Sigmoid', [right!])]), ['batch', 3]);
  }),
  withFloats('columns cut and padded, x[:, 1:4]', [6], (net, x) => {
    const cut = net.op('Slice', [x, net.ints(1), net.ints(4), net.ints(1), net.ints(1)]);
    out(net, net.op('Pad', [cut, net.ints(0, 1, 0, 1), net.float(0.5)], { mode: 'constant' }), ['batch', 5]);
  }),
  withFloats(
    'first row for all, x - x[0:1]',
    [4],
    (net, x) => {
      const first = net.op('Slice', [x, net.ints(0), net.ints(1), net.ints(0), net.ints(1)]);
      out(net, net.op('Sub', [x, first]), ['batch', 4]);
    },
    'Slice',
    false,
  ),
  withFloats(
    'last row for all, x + x[-1]',
    [4],
    (net, x) => out(net, net.op('Add', [x, net.op('Gather', [x, net.int(-1)], { axis: 0n })]), ['batch', 4]),
    'Gather',
    false,
  ),
  withFloats(
    'difference to the row before, Pad of axis 0',
    [4],
    (net, x) => {
      const before = net.op('Pad', [x, net.ints(1, 0, -1, 0)], { mode: 'constant' });
      out(net, net.op('Sub', [x, before]), ['batch', 4]);
    },
    'Pad',
    false,
  ),
  withTwo('two inputs beside each other, cat(dim=1)', [[2], [3]], (net, x, y) => {
    out(net, gemm(net, net.op('Concat', [x, y], { axis: 1n }), 5, 2), ['batch', 2]);
  }),
  withTwo(
    'anchor and positive behind each other, cat(dim=0)',
    [[3], [3]],
    (net, x, y) => out(net, gemm(net, net.op('Concat', [x, y], { axis: 0n }), 3, 2), ['M', 2]),
    'Concat',
  ),
  withFloats('row repeated in its columns, repeat(1, 2)', [3], (net, x) => {
    out(net, net.op('Tile', [x, net.ints(1, 2)]), ['batch', 6]);
  }),
  withFloats(
    'rows repeated, repeat(2, 1)',
    [3],
    (net, x) => out(net, net.op('Tile', [x, net.ints(2, 1)]), ['M', 3]),
    'Tile',
  ),
  withFloats('expand(size(0), 4, 3) of each row', [3], (net, x) => {
    const wide = net.op('Unsqueeze', [x, net.ints(1)]);
    out(net, net.op('Expand', [wide, sizes(net, sizeOf(net, x, 0), 4, 3)]), ['batch', 4, 3]);
  }),
  withFloats(
    'expand of the mean to four rows',
    [3],
    (net, x) => {
      const mean = net.op('ReduceMean', [x], { axes: [0n], keepdims: 1n });
      out(net, net.op('Expand', [mean, net.ints(4, 3)]), [4, 3]);
    },
    'ReduceMean',
  ),
  {
    name: 'embedding of ids and mean over axis 1',
    inputs: { input_ids: ids([4], 9) },
    write: (net: Net, x: string) => {
      const hidden = net.op('Gather', [net.weight([9, 5]), x]);
      out(net, net.op('ReduceMean', [hidden], { axes: [1n], keepdims: 0n }), ['batch', 5]);
    },
  },
];

export const TORCH_LEGACY: readonly ExportedGraph[] = graphsOf('torch legacy', TORCH, CASES);
