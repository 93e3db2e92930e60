import { type Case, graphsOf } from './cases.ts';
import { floats, free, ids, mask } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { KERAS, type Net } from './net.ts';

/** What tf2onnx writes: NHWC turned to NCHW and back, shapes cut from a Shape, Identity at the end. */
const FLOAT = 1n;
const INT64 = 7n;

function dense(net: Net, x: string, from: number, to: number): string {
  return net.op('Add', [net.op('MatMul', [x, net.weight([from, to])]), net.weight([to])]);
}

const toNchw = (net: Net, x: string) => net.op('Transpose', [x], { perm: [0n, 3n, 1n, 2n] });
const toNhwc = (net: Net, x: string) => net.op('Transpose', [x], { perm: [0n, 2n, 3n, 1n] });

/** Conv2D, padding "same", between transposes that tf2onnx has not found to cancel. */
function conv2d(net: Net, x: string, from: number, to: number): string {
  const weights = [net.weight([to, from, 3, 3]), net.weight([to])];
  const attributes = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n], strides: [1n, 1n], group: 1n };
  return toNhwc(net, net.op('Relu', [net.op('Conv', [toNchw(net, x), ...weights], attributes)]));
}

function maxPool(net: Net, x: string): string {
  return toNhwc(net, net.op('MaxPool', [toNchw(net, x)], { kernel_shape: [2n, 2n], strides: [2n, 2n] }));
}

/** Flatten of a shape that is not known: its first size by Slice and Squeeze, of int32, the rest -1. */
function flatten(net: Net, x: string): string {
  const shape = net.op('Cast', [net.op('Shape', [x])], { to: 6n });
  const first = net.op('Slice', [net.op('Cast', [shape], { to: INT64 }), net.ints(0), net.ints(1), net.ints(0)]);
  const rows = net.op('Squeeze', [first, net.ints(0)]);
  const parts = [rows, net.int(-1)].map((one) => net.op('Unsqueeze', [one, net.ints(0)]));
  return net.op('Reshape', [x, net.op('Cast', [net.op('Concat', parts, { axis: 0n })], { to: INT64 })]);
}

const out = (net: Net, x: string, shape: readonly (number | string)[]) =>
  net.output(net.op('Identity', [x]), 'float32', shape, 'output_1');

const image = free(floats([6, 6, 2]), 'unk__10', 6, 6, 2);

const CASES: readonly Case[] = [
  {
    name: 'Sequential of Dense, BatchNormalization folded',
    inputs: { dense_input: floats([5]) },
    write(net, input) {
      const hidden = net.op('Relu', [dense(net, input!, 5, 8)]);
      const scaled = net.op('Add', [net.op('Mul', [hidden, net.weight([8])]), net.weight([8])]);
      out(net, net.op('Softmax', [dense(net, scaled, 8, 3)], { axis: -1n }), ['batch', 3]);
    },
  },
  {
    name: 'CNN in NHWC, Flatten by Reshape [-1,18]',
    inputs: { input_1: image },
    write(net, input) {
      const features = maxPool(net, conv2d(net, input!, 2, 2));
      out(net, dense(net, net.op('Reshape', [features, net.ints(-1, 18)]), 18, 3), ['unk__11', 3]);
    },
  },
  {
    name: 'CNN in NHWC, Flatten by Reshape [-1,9], which is half an image',
    operator: 'Reshape',
    inputs: { input_1: image },
    write(net, input) {
      const features = maxPool(net, conv2d(net, input!, 2, 2));
      out(net, dense(net, net.op('Reshape', [features, net.ints(-1, 9)]), 9, 3), ['unk__11', 3]);
    },
  },
  {
    name: 'CNN in NHWC, Flatten by a slice of the shape',
    inputs: { input_1: image },
    write(net, input) {
      out(net, dense(net, flatten(net, conv2d(net, input!, 2, 1)), 36, 3), ['unk__11', 3]);
    },
  },
  {
    name: 'MobileNet, DepthwiseConv2D, ReLU6, GlobalAveragePooling2D',
    inputs: { input_1: image },
    write(net, input) {
      const deep = net.op('Conv', [toNchw(net, input!), net.weight([2, 1, 3, 3]), net.weight([2])], {
        group: 2n,
        kernel_shape: [3n, 3n],
        auto_pad: 'SAME_UPPER',
      });
      const capped = net.op('Clip', [deep, net.float(0), net.float(6)]);
      const pooled = net.op('Squeeze', [net.op('GlobalAveragePool', [capped]), net.ints(2, 3)]);
      out(net, net.op('Sigmoid', [dense(net, pooled, 2, 1)]), ['unk__11', 1]);
    },
  },
  {
    name: 'autoencoder, UpSampling2D in NHWC',
    inputs: { input_1: image },
    write(net, input) {
      const small = toNchw(net, maxPool(net, conv2d(net, input!, 2, 2)));
      const large = net.op('Resize', [small, '', net.constant('float32', [4], [1, 1, 2, 2])], {
        mode: 'nearest',
        coordinate_transformation_mode: 'asymmetric',
        nearest_mode: 'floor',
      });
      out(net, conv2d(net, toNhwc(net, large), 2, 2), ['unk__11', 6, 6, 2]);
    },
  },
  {
    name: 'recommender, ids of users and items, Dot',
    inputs: { user: ids([1], 9), item: ids([1], 7, { dtype: 'int32' }) },
    write(net, user, item) {
      const vectors = [net.op('Gather', [net.weight([9, 4]), user!]), net.op('Gather', [net.weight([7, 4]), item!])];
      const [left, right] = vectors.map((x) => net.op('Reshape', [x, net.ints(-1, 4)])) as [string, string];
      const product = net.op('ReduceSum', [net.op('Mul', [left, right]), net.ints(1)], { keepdims: 1n });
      const deep = dense(net, net.op('Concat', [left, right], { axis: -1n }), 8, 1);
      out(net, net.op('Sigmoid', [net.op('Add', [product, deep])]), ['batch', 1]);
    },
  },
  {
    name: 'recommender, each user with each item of the batch',
    operator: 'MatMul',
    inputs: { user: ids([], 9), item: ids([], 7) },
    write(net, user, item) {
      const left = net.op('Gather', [net.weight([9, 4]), user!]);
      const right = net.op('Transpose', [net.op('Gather', [net.weight([7, 4]), item!])], { perm: [1n, 0n] });
      out(net, net.op('MatMul', [left, right]), ['batch', 'batch']);
    },
  },
  {
    name: 'time series, Conv1D and GlobalMaxPooling1D',
    inputs: { series: free(floats([8, 2]), 'unk__20', 8, 2) },
    write(net, series) {
      const turned = net.op('Transpose', [series!], { perm: [0n, 2n, 1n] });
      const wide = net.op('Unsqueeze', [turned, net.ints(2)]);
      const filtered = net.op('Conv', [wide, net.weight([4, 2, 1, 3]), net.weight([4])], { kernel_shape: [1n, 3n] });
      const steps = net.op('Transpose', [net.op('Squeeze', [filtered, net.ints(2)])], { perm: [0n, 2n, 1n] });
      out(net, dense(net, net.op('ReduceMax', [steps], { axes: [1n], keepdims: 0n }), 4, 1), ['unk__20', 1]);
    },
  },
  {
    name: 'time series scaled by the largest value of the batch',
    operator: 'ReduceMax',
    inputs: { series: floats([8]) },
    write(net, series) {
      const most = net.op('ReduceMax', [net.op('Abs', [series!])], { keepdims: 1n });
      out(net, net.op('Div', [series!, net.op('Max', [most, net.float(1e-3)])]), ['batch', 8]);
    },
  },
  {
    name: 'Embedding and GlobalAveragePooling1D with a mask',
    inputs: { tokens: ids([5], 12), lengths: mask(5, 'bool') },
    write(net, tokens, lengths) {
      const hidden = net.op('Gather', [net.weight([12, 4]), tokens!]);
      const kept = net.op('Unsqueeze', [net.op('Cast', [lengths!], { to: FLOAT }), net.ints(2)]);
      const sum = net.op('ReduceSum', [net.op('Mul', [hidden, kept]), net.ints(1)], { keepdims: 0n });
      const mean = net.op('Div', [sum, net.op('ReduceSum', [kept, net.ints(1)], { keepdims: 0n })]);
      out(net, net.op('Softmax', [dense(net, mean, 4, 2)]), ['batch', 2]);
    },
  },
  {
    name: 'one-hot ids by Equal with a range',
    inputs: { tokens: ids([], 5) },
    write(net, tokens) {
      const hot = net.op('OneHot', [tokens!, net.ints(5), net.constant('float32', [2], [0, 1])], { axis: -1n });
      out(net, dense(net, hot, 5, 2), ['batch', 2]);
    },
  },
  {
    name: 'variational autoencoder that draws its code',
    operator: 'RandomNormalLike',
    inputs: { input_1: floats([4], { special: false }) },
    write(net, input) {
      const mean = dense(net, input!, 4, 2);
      const noise = net.op('RandomNormalLike', [mean], { dtype: FLOAT });
      out(net, dense(net, net.op('Add', [mean, noise]), 2, 4), ['batch', 4]);
    },
  },
  {
    name: 'loss of the batch, a scalar',
    operator: 'ReduceMean',
    inputs: { input_1: floats([4]), target: floats([4]) },
    write(net, input, target) {
      const error = net.op('Sub', [dense(net, input!, 4, 4), target!]);
      out(net, net.op('ReduceMean', [net.op('Mul', [error, error])], { keepdims: 0n }), []);
    },
  },
];

export const TF2ONNX: readonly ExportedGraph[] = graphsOf('Keras', KERAS, CASES);
