import { type Case, graphsOf } from './cases.ts';
import { floats, ids } from './feeds.ts';
import type { ExportedGraph } from './graph.ts';
import { type Net, TORCH } from './net.ts';
import { conv, layerNorm, linear, relu, sizeOf, sizes } from './torch-parts.ts';

const ANCHORS = 9;
const CLASSES = 2;
const INT64 = 7n;

/** An image [3,3,3], of whose 9 places each is an anchor; equal scores are left out, as of those any may be the best. */
const IMAGES = floats([3, 3, 3], { special: false });

const out = (net: Net, x: string, shape: readonly (number | string)[], name = 'output0') =>
  net.output(x, 'float32', shape, name);

/** Boxes and scores of each anchor: [rows, 4 + classes, anchors]. */
function head(net: Net, x: string): string {
  const features = relu(net, conv(net, x, { from: 3, to: 6 }));
  const raw = conv(net, features, { from: 6, to: 4 + CLASSES, kernel: 1 });
  const flat = net.op('Reshape', [raw, sizes(net, sizeOf(net, raw, 0), 4 + CLASSES, -1)]);
  const [boxes, scores] = net.ops('Split', [flat, net.ints(4, CLASSES)], 2, { axis: 1n });
  const [left, right] = net.ops('Split', [net.op('Sigmoid', [boxes!]), net.ints(2, 2)], 2, { axis: 1n });
  const anchors = net.weight([1, 2, ANCHORS], 1);
  const corners = [net.op('Sub', [anchors, left!]), net.op('Add', [anchors, right!])];
  return net.op('Concat', [...corners, net.op('Sigmoid', [scores!])], { axis: 1n });
}

/** [rows, anchors, 4] and [rows, classes, anchors]. */
function boxesAndScores(net: Net, x: string): [boxes: string, scores: string] {
  const [boxes, scores] = net.ops('Split', [head(net, x), net.ints(4, CLASSES)], 2, { axis: 1n });
  return [net.op('Transpose', [boxes!], { perm: [0n, 2n, 1n] }), scores!];
}

function suppress(net: Net, boxes: string, scores: string): string {
  const limits = [
    net.constant('int64', [1], [4]),
    net.constant('float32', [1], [0.5]),
    net.constant('float32', [1], [0.3]),
  ];
  return net.op('NonMaxSuppression', [boxes, scores, ...limits]);
}

/** The best score of each anchor, [rows, anchors]. */
const objectness = (net: Net, scores: string) => net.op('ReduceMax', [scores], { axes: [1n], keepdims: 0n });

const CASES: readonly Case[] = [
  {
    name: 'YOLOv8, raw head [batch, 4 + classes, anchors]',
    inputs: { images: IMAGES },
    write: (net, images) => out(net, head(net, images!), ['batch', 4 + CLASSES, ANCHORS]),
  },
  {
    name: 'YOLOv5, raw heads of two sizes with grids, Concat on axis 1',
    inputs: { images: IMAGES },
    write(net, images) {
      const parts = [3, 1].map((size) => {
        const features = size === 3 ? images! : net.op('GlobalAveragePool', [images!]);
        const raw = conv(net, features, { from: 3, to: 12, kernel: 1 });
        const rows = sizeOf(net, raw, 0);
        const split = net.op('Reshape', [raw, sizes(net, rows, 2, 6, sizeOf(net, raw, 2), sizeOf(net, raw, 3))]);
        const last = net.op('Sigmoid', [net.op('Transpose', [split], { perm: [0n, 1n, 3n, 4n, 2n] })]);
        const [place, rest] = net.ops('Split', [last, net.ints(2, 4)], 2, { axis: 4n });
        const grid = net.weight([1, 2, size, size, 2], 3);
        const centre = net.op('Mul', [net.op('Add', [net.op('Mul', [place!, net.float(2)]), grid]), net.float(8)]);
        const joined = net.op('Concat', [centre, rest!], { axis: 4n });
        return net.op('Reshape', [joined, sizes(net, rows, -1, 6)]);
      });
      out(net, net.op('Concat', parts, { axis: 1n }), ['batch', 20, 6]);
    },
  },
  {
    name: 'YOLO with NonMaxSuppression in the graph, selected indices',
    operator: 'NonMaxSuppression',
    inputs: { images: IMAGES },
    write(net, images) {
      net.output(suppress(net, ...boxesAndScores(net, images!)), 'int64', ['selected', 3], 'selected_indices');
    },
  },
  {
    name: 'YOLO end to end, boxes gathered by the selected indices',
    operator: 'NonMaxSuppression',
    inputs: { images: IMAGES },
    write(net, images) {
      const [boxes, scores] = boxesAndScores(net, images!);
      const selected = suppress(net, boxes, scores);
      const at = net.op('Gather', [selected, net.ints(0, 2)], { axis: 1n });
      out(net, net.op('GatherND', [boxes, at]), ['selected', 4]);
    },
  },
  {
    name: 'SSD, NonMaxSuppression of the first image padded to a fixed number',
    operator: 'NonMaxSuppression',
    inputs: { images: IMAGES },
    write(net, images) {
      const selected = suppress(net, ...boxesAndScores(net, images!));
      const count = net.op('Gather', [net.op('Shape', [selected]), net.ints(0)], { axis: 0n });
      const filled = net.op('Concat', [selected, net.constant('int64', [5, 3], new BigInt64Array(15))], { axis: 0n });
      const five = net.op('Slice', [filled, net.ints(0), net.ints(5), net.ints(0)]);
      net.output(net.op('Unsqueeze', [five, net.ints(0)]), 'int64', [1, 5, 3], 'detections');
      net.output(count, 'int64', [1], 'num_dets');
    },
  },
  {
    name: 'RT-DETR, best anchors of each image by TopK and GatherElements',
    inputs: { images: IMAGES },
    write(net, images) {
      const [boxes, scores] = boxesAndScores(net, images!);
      const [best, at] = net.ops('TopK', [objectness(net, scores), net.ints(3)], 2, { axis: 1n });
      const wide = net.op('Unsqueeze', [at!, net.ints(-1)]);
      const index = net.op('Tile', [wide, net.ints(1, 1, 4)]);
      out(net, net.op('GatherElements', [boxes, index], { axis: 1n }), ['batch', 3, 4], 'boxes');
      out(net, best!, ['batch', 3], 'scores');
    },
  },
  {
    name: 'best anchors of each image by GatherND with a batch dimension',
    inputs: { images: IMAGES },
    write(net, images) {
      const [boxes, scores] = boxesAndScores(net, images!);
      const [, at] = net.ops('TopK', [objectness(net, scores), net.ints(3)], 2, { axis: 1n });
      const index = net.op('Unsqueeze', [at!, net.ints(-1)]);
      out(net, net.op('GatherND', [boxes, index], { batch_dims: 1n }), ['batch', 3, 4], 'boxes');
    },
  },
  {
    name: 'best anchors of each image, GatherND without batch dimensions picks rows',
    operator: 'GatherND',
    inputs: { images: IMAGES, row: ids([1], 1) },
    write(net, images, row) {
      const [boxes] = boxesAndScores(net, images!);
      out(net, net.op('GatherND', [boxes, row!], { batch_dims: 0n }), ['batch', ANCHORS, 4], 'boxes');
    },
  },
  {
    name: 'best anchors of all images, TopK of one list',
    operator: 'TopK',
    inputs: { images: IMAGES },
    write(net, images) {
      const [, scores] = boxesAndScores(net, images!);
      const flat = net.op('Reshape', [objectness(net, scores), net.ints(-1)]);
      const [best] = net.ops('TopK', [flat, net.ints(3)], 2, { axis: 0n });
      out(net, best!, [3], 'scores');
    },
  },
  {
    name: 'anchors of each image above a threshold, NonZero',
    operator: 'NonZero',
    inputs: { images: IMAGES },
    write(net, images) {
      const [, scores] = boxesAndScores(net, images!);
      const at = net.op('NonZero', [net.op('Greater', [objectness(net, scores), net.float(0.5)])]);
      net.output(net.op('Transpose', [at], { perm: [1n, 0n] }), 'int64', ['detections', 2], 'detections');
    },
  },
  {
    name: 'DETR, queries the same for each image',
    inputs: { images: IMAGES },
    write(net, images) {
      const features = conv(net, images!, { from: 3, to: 6, kernel: 1 });
      const flat = net.op('Reshape', [features, sizes(net, sizeOf(net, features, 0), 6, -1)]);
      const memory = net.op('Transpose', [flat], { perm: [0n, 2n, 1n] });
      const queries = net.op('Expand', [net.weight([1, 2, 6]), sizes(net, sizeOf(net, images!, 0), 2, 6)]);
      const keys = net.op('Transpose', [linear(net, memory, 6, 6)], { perm: [0n, 2n, 1n] });
      const shares = net.op('Softmax', [net.op('MatMul', [queries, keys])], { axis: -1n });
      const seen = layerNorm(net, net.op('Add', [net.op('MatMul', [shares, memory]), queries]), 6);
      out(net, linear(net, seen, 6, CLASSES + 1), ['batch', 2, CLASSES + 1], 'logits');
      out(net, net.op('Sigmoid', [linear(net, seen, 6, 4)]), ['batch', 2, 4], 'pred_boxes');
    },
  },
  {
    name: 'DETR, places in a sequence-first encoder: rows on axis 1, and back',
    inputs: { images: IMAGES },
    write(net, images) {
      const features = conv(net, images!, { from: 3, to: 6, kernel: 1 });
      const flat = net.op('Reshape', [features, net.ints(0, 6, -1)]);
      const first = net.op('Transpose', [flat], { perm: [2n, 0n, 1n] });
      const pooled = net.op('ReduceMean', [first], { axes: [0n], keepdims: 0n });
      out(net, linear(net, pooled, 6, 2), ['batch', 2], 'logits');
    },
  },
  {
    name: 'YOLO with the plugin EfficientNMS_TRT',
    verdict: 'unknown',
    operator: 'EfficientNMS_TRT',
    inputs: { images: IMAGES },
    write(net, images) {
      const [boxes, scores] = boxesAndScores(net, images!);
      const attributes = { max_output_boxes: 5n, score_threshold: 0.25, iou_threshold: 0.45, background_class: -1n };
      const turned = net.op('Transpose', [scores], { perm: [0n, 2n, 1n] });
      const [count, found] = net.ops('TRT:EfficientNMS_TRT', [boxes, turned], 4, attributes);
      net.output(count!, 'int32', ['batch', 1], 'num_dets');
      out(net, found!, ['batch', 5, 4], 'det_boxes');
    },
  },
  {
    name: 'scores written to their places in each image, ScatterElements on axis 1',
    inputs: { scores: floats([5]), index: ids([2], 5), update: floats([2]) },
    write(net, scores, index, update) {
      const written = net.op('ScatterElements', [scores!, index!, update!], { axis: 1n });
      out(net, written, ['batch', 5]);
    },
  },
  {
    name: 'scores written to their places in the batch, ScatterElements on axis 0',
    operator: 'ScatterElements',
    inputs: { scores: floats([2], { special: false }), index: ids([2], 1), update: floats([2], { special: false }) },
    write(net, scores, index, update) {
      const written = net.op('ScatterElements', [scores!, index!, update!], { axis: 0n, reduction: 'add' });
      out(net, written, ['batch', 2]);
    },
    style: { opset: 16 },
  },
  {
    name: 'rows picked by ids of the request, Gather on axis 0',
    operator: 'Gather',
    inputs: { features: floats([3], { special: false }), row: ids([], 1) },
    write: (net, features, row) => out(net, net.op('Gather', [features!, row!], { axis: 0n }), ['batch', 3]),
  },
  {
    name: 'columns picked by ids of the request, GatherElements on axis 1',
    inputs: { features: floats([3]), index: ids([2], 3, { from: -3, dtype: 'int32' }) },
    write(net, features, index) {
      const picked = net.op('GatherElements', [features!, net.op('Cast', [index!], { to: INT64 })], { axis: 1n });
      out(net, picked, ['batch', 2]);
    },
  },
  {
    name: 'rows picked by ids of the request, GatherElements on axis 0',
    operator: 'GatherElements',
    inputs: { features: floats([3], { special: false }), index: ids([3], 1) },
    write(net, features, index) {
      out(net, net.op('GatherElements', [features!, index!], { axis: 0n }), ['batch', 3]);
    },
  },
];

export const DETECTORS: readonly ExportedGraph[] = graphsOf('detectors', TORCH, CASES);
