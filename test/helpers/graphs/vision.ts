import { initializer } from '../../../functions/onnx/proto/build.ts';
import { type Case, graphsOf } from './cases.ts';
import { floats, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { attention, conv, gelu, gemm, layerNorm, linear, relu, sizeOf, sizes } from './torch-parts.ts';

/** Places in an image: NaN is none. */
const places = (dims: readonly number[]) => floats(dims, { special: false });
const image = (channels: number, size: number) => floats([channels, size, size]);

const out = (net: Net, x: string, shape: readonly (number | string)[]) => net.output(x, 'float32', shape, 'output');

function batchNorm(net: Net, x: string, channels: number): string {
  const variance = net.table(
    'float32',
    [channels],
    Float32Array.from({ length: channels }, (_, i) => 1 + i / 4),
  );
  const [scale, bias, mean] = [1, 0.5, 0.5].map((range) => net.weight([channels], range)) as [string, string, string];
  return net.op('BatchNormalization', [x, scale, bias, mean, variance], { epsilon: 1e-5, momentum: 0.9 });
}

function residualBlock(net: Net, x: string, channels: number): string {
  const first = relu(net, batchNorm(net, conv(net, x, { from: channels, to: channels }), channels));
  const second = batchNorm(net, conv(net, first, { from: channels, to: channels }), channels);
  return relu(net, net.op('Add', [second, x]));
}

const maxPool = (net: Net, x: string) =>
  net.op('MaxPool', [x], { ceil_mode: 0n, kernel_shape: [2n, 2n], pads: [0n, 0n, 0n, 0n], strides: [2n, 2n] });

/** The encoder's features, upsampled to the size of those they are put beside, as of F.interpolate(size=...). */
function upTo(net: Net, x: string, like: string): string {
  const height = net.op('Unsqueeze', [sizeOf(net, like, 2), net.ints(0)]);
  const width = net.op('Unsqueeze', [sizeOf(net, like, 3), net.ints(0)]);
  const space = net.op('Cast', [net.op('Concat', [height, width], { axis: 0n })], { to: 7n });
  const whole = net.op('Slice', [net.op('Shape', [x]), net.ints(0), net.ints(2), net.ints(0)]);
  const target = net.op('Concat', [whole, space], { axis: 0n });
  return net.op('Resize', [x, '', '', target], {
    coordinate_transformation_mode: 'asymmetric',
    cubic_coeff_a: -0.75,
    mode: 'nearest',
    nearest_mode: 'floor',
  });
}

function patches(net: Net, x: string): string {
  const tiles = net.op('Conv', [x, net.weight([8, 3, 4, 4]), net.weight([8])], {
    kernel_shape: [4n, 4n],
    strides: [4n, 4n],
  });
  const flat = net.op('Reshape', [tiles, sizes(net, sizeOf(net, tiles, 0), sizeOf(net, tiles, 1), -1)]);
  return net.op('Transpose', [flat], { perm: [0n, 2n, 1n] });
}

/** The class token for each image: expand(batch, -1, -1), where the exporter replaces -1 by way of ConstantOfShape and Where. */
function classTokens(net: Net, rows: string): string {
  const shape = net.op('Reshape', [sizes(net, rows, -1, -1), net.ints(-1)]);
  const ones = net.op('ConstantOfShape', [net.op('Shape', [shape])], { value: initializer('', 'int64', [1], [1]) });
  const minus = net.op('Mul', [ones, net.int(-1)]);
  const sized = net.op('Where', [net.op('Equal', [shape, minus]), ones, shape]);
  return net.op('Expand', [net.weight([1, 1, 8]), sized]);
}

const windows = (net: Net, x: string) => {
  const split = net.op('Reshape', [x, sizes(net, sizeOf(net, x, 0), 2, 2, 2, 2, 8)]);
  const turned = net.op('Transpose', [split], { perm: [0n, 1n, 3n, 2n, 4n, 5n] });
  return net.op('Reshape', [turned, net.ints(-1, 4, 8)]);
};

const CASES: readonly Case[] = [
  {
    name: 'ResNet, GlobalAveragePool and Flatten',
    inputs: { input: image(3, 6) },
    write(net, input) {
      const stem = maxPool(net, relu(net, conv(net, input!, { from: 3, to: 4 })));
      const pooled = net.op('GlobalAveragePool', [residualBlock(net, stem, 4)]);
      out(net, gemm(net, net.op('Flatten', [pooled], { axis: 1n }), 4, 3), ['batch', 3]);
    },
  },
  {
    name: 'ResNet, statistics of the batch instead of BatchNormalization',
    operator: 'ReduceMean',
    inputs: { input: image(3, 4) },
    write(net, input) {
      const x = conv(net, input!, { from: 3, to: 4 });
      const mean = (of: string) => net.op('ReduceMean', [of], { axes: [0n, 2n, 3n], keepdims: 1n });
      const centred = net.op('Sub', [x, mean(x)]);
      const variance = net.op('Add', [mean(net.op('Mul', [centred, centred])), net.float(1e-5)]);
      out(net, net.op('Div', [centred, net.op('Sqrt', [variance])]), ['batch', 4, 4, 4]);
    },
  },
  {
    name: 'UNet, Resize to the size of the skipped features',
    inputs: { input: image(2, 6) },
    write(net, input) {
      const top = relu(net, conv(net, input!, { from: 2, to: 3 }));
      const low = relu(net, conv(net, maxPool(net, top), { from: 3, to: 3 }));
      const joined = net.op('Concat', [upTo(net, low, top), top], { axis: 1n });
      const mask = conv(net, joined, { from: 6, to: 2, kernel: 1 });
      out(net, net.op('Sigmoid', [mask]), ['batch', 2, 6, 6]);
      net.output(net.op('ArgMax', [mask], { axis: 1n, keepdims: 0n }), 'int64', ['batch', 6, 6], 'labels');
    },
  },
  {
    name: 'frames of a video, Resize of the axis of rows',
    operator: 'Resize',
    inputs: { input: image(2, 4) },
    write(net, input) {
      const scales = net.constant('float32', [4], [2, 1, 1, 1]);
      const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
      out(net, net.op('Resize', [input!, '', scales], attributes), ['frames', 2, 4, 4]);
    },
  },
  {
    name: 'ConvNeXt, depthwise convolution and LayerNorm in NHWC',
    inputs: { input: image(4, 4) },
    write(net, input) {
      const deep = conv(net, input!, { from: 4, to: 4, group: 4 });
      const last = layerNorm(net, net.op('Transpose', [deep], { perm: [0n, 2n, 3n, 1n] }), 4, 1e-6);
      const wide = linear(net, gelu(net, linear(net, last, 4, 8)), 8, 4);
      const back = net.op('Transpose', [net.op('Mul', [net.weight([4]), wide])], { perm: [0n, 3n, 1n, 2n] });
      out(net, net.op('Add', [input!, back]), ['batch', 4, 4, 4]);
    },
  },
  {
    name: 'MobileNetV3, squeeze and excitation, HardSwish',
    inputs: { input: image(4, 4) },
    write(net, input) {
      const x = net.op('HardSwish', [conv(net, input!, { from: 4, to: 4, group: 4 })]);
      const squeezed = conv(net, net.op('GlobalAveragePool', [x]), { from: 4, to: 2, kernel: 1 });
      const gate = net.op('HardSigmoid', [conv(net, relu(net, squeezed), { from: 2, to: 4, kernel: 1 })], {
        alpha: 1 / 6,
      });
      const clipped = net.op('Clip', [net.op('Mul', [gate, x]), net.float(0), net.float(6)]);
      out(net, net.op('ReduceMean', [clipped], { axes: [2n, 3n], keepdims: 0n }), ['batch', 4]);
    },
  },
  {
    name: 'ViT, class token by Expand and Concat on axis 1',
    inputs: { pixel_values: image(3, 8) },
    write(net, input) {
      const tiles = patches(net, input!);
      const tokens = net.op('Concat', [classTokens(net, sizeOf(net, input!, 0)), tiles], { axis: 1n });
      const x = net.op('Add', [tokens, net.weight([1, 5, 8])]);
      const hidden = net.op('Add', [attention(net, layerNorm(net, x, 8), 8, 2), x]);
      const first = net.op('Gather', [layerNorm(net, hidden, 8), net.int(0)], { axis: 1n });
      net.output(gemm(net, first, 8, 3), 'float32', ['batch', 3], 'logits');
    },
  },
  {
    name: 'ViT, patches of all images in one sequence',
    operator: 'MatMul',
    inputs: { pixel_values: image(3, 8) },
    write(net, input) {
      const one = net.op('Reshape', [patches(net, input!), net.ints(1, -1, 8)]);
      const seen = net.op('Reshape', [attention(net, one, 8, 2), net.ints(-1, 4, 8)]);
      net.output(net.op('ReduceMean', [seen], { axes: [1n], keepdims: 0n }), 'float32', ['batch', 8], 'features');
    },
  },
  {
    name: 'Swin, attention in windows: rows and windows in one axis, and back',
    inputs: { input: floats([16, 8]) },
    write(net, input) {
      const seen = attention(net, windows(net, input!), 8, 2);
      const split = net.op('Reshape', [seen, net.ints(-1, 2, 2, 2, 2, 8)]);
      const turned = net.op('Transpose', [split], { perm: [0n, 1n, 3n, 2n, 4n, 5n] });
      const back = net.op('Reshape', [turned, sizes(net, sizeOf(net, input!, 0), 16, 8)]);
      out(net, layerNorm(net, net.op('Add', [input!, back]), 8), ['batch', 16, 8]);
    },
  },
  {
    name: 'Swin, windows left in the axis of rows',
    operator: 'Reshape',
    inputs: { input: floats([16, 8]) },
    write: (net, input) => out(net, attention(net, windows(net, input!), 8, 2), ['windows', 4, 8]),
  },
  {
    name: 'camera frames: uint8 NHWC, normalised and resized in the graph',
    inputs: { image: ids([4, 4, 3], 256, { dtype: 'uint8' }) },
    write(net, input) {
      const scaled = net.op('Div', [net.op('Cast', [input!], { to: 1n }), net.float(255)]);
      const planes = net.op('Transpose', [scaled], { perm: [0n, 3n, 1n, 2n] });
      const normal = net.op('Div', [net.op('Sub', [planes, net.weight([1, 3, 1, 1])]), net.float(0.22)]);
      const resized = net.op('Resize', [normal, '', net.constant('float32', [4], [1, 1, 2, 2])], {
        mode: 'linear',
        coordinate_transformation_mode: 'half_pixel',
      });
      const features = conv(net, resized, { from: 3, to: 2, stride: 2 });
      out(net, net.op('ReduceMax', [features], { axes: [2n, 3n], keepdims: 0n }), ['batch', 2]);
    },
  },
  {
    name: 'AveragePool over neighbouring rows',
    operator: 'AveragePool',
    inputs: { input: floats([6]) },
    write(net, input) {
      const wide = net.op('Unsqueeze', [input!, net.ints(0, 1)]);
      const pooled = net.op('AveragePool', [wide], {
        kernel_shape: [3n, 1n],
        pads: [1n, 0n, 1n, 0n],
        strides: [1n, 1n],
      });
      out(net, net.op('Squeeze', [pooled, net.ints(0, 1)]), ['batch', 6]);
    },
  },
  {
    name: 'convolution along the rows, [1, channels, rows]',
    operator: 'Conv',
    inputs: { input: floats([4], { special: false }) },
    write(net, input) {
      const columns = net.op('Unsqueeze', [net.op('Transpose', [input!], { perm: [1n, 0n] }), net.ints(0)]);
      const filtered = net.op('Conv', [columns, net.weight([2, 4, 3])], { kernel_shape: [3n], pads: [1n, 1n] });
      out(net, net.op('Transpose', [net.op('Squeeze', [filtered, net.ints(0)])], { perm: [1n, 0n] }), ['batch', 2]);
    },
  },
  {
    name: 'GroupNormalization of opset 21 and DepthToSpace',
    inputs: { input: image(4, 2) },
    write(net, input) {
      const attributes = { num_groups: 2n, epsilon: 1e-5 };
      const normal = net.op('GroupNormalization', [input!, net.weight([4], 1), net.weight([4])], attributes);
      out(net, net.op('DepthToSpace', [normal], { blocksize: 2n, mode: 'CRD' }), ['batch', 1, 4, 4]);
    },
    style: { opset: 21, irVersion: 10 },
  },
  {
    name: 'spatial transformer, GridSample at places of its own',
    inputs: { input: image(2, 4), grid: places([3, 3, 2]) },
    write(net, input, grid) {
      const sampled = net.op('GridSample', [input!, net.op('Tanh', [grid!])], {
        mode: 'bilinear',
        padding_mode: 'zeros',
      });
      out(net, sampled, ['batch', 2, 3, 3]);
    },
  },
  {
    name: 'RoiAlign, boxes that say which image they are of',
    operator: 'RoiAlign',
    inputs: {
      input: image(2, 4),
      rois: places([4]),
      index: ids([], 1),
    },
    write(net, input, rois, index) {
      const attributes = { output_height: 2n, output_width: 2n, sampling_ratio: 2n, spatial_scale: 1, mode: 'avg' };
      out(net, net.op('RoiAlign', [input!, rois!, index!], attributes), ['batch', 2, 2, 2]);
    },
  },
  {
    name: 'decoder of an autoencoder, ConvTranspose',
    inputs: { z: floats([4]) },
    write(net, z) {
      const small = net.op('Reshape', [gemm(net, z!, 4, 8), net.ints(-1, 2, 2, 2)]);
      const large = net.op('ConvTranspose', [small, net.weight([2, 1, 2, 2]), net.weight([1])], {
        kernel_shape: [2n, 2n],
        strides: [2n, 2n],
      });
      out(net, net.op('Sigmoid', [large]), ['batch', 1, 4, 4]);
    },
  },
];

export const VISION: readonly ExportedGraph[] = graphsOf('vision', TORCH, CASES);
