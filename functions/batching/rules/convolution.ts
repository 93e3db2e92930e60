import { isSameAxis } from '../values/merge.ts';
import {
  carriesRows,
  DEPENDS_ON_COUNT,
  mixed,
  newSize,
  numbersOf,
  type Operation,
  ofConstants,
  RANK_UNKNOWN,
  type Result,
  type Rule,
  type Rules,
  unknown,
} from '../values/operation.ts';
import { hasRows, isNumber, number, numberOf, type Size, sameSize, times } from '../values/size.ts';
import { extentOf, type Tracked, withRows } from '../values/tracked-value.ts';
import { isScalar } from './linear.ts';

const NOT_FIRST = 'the rows do not lie along axis 0, the axis of the batch';

interface Layout {
  /** The axis of the channels; -1 for the last. */
  readonly channels: 1 | -1;
  /** The index of the input with the weights, whose shape gives the channels of the output and the size of the kernel. */
  readonly weights?: number;
}

type Places = (size: number, axis: number, operation: Operation, kernel: number) => number | undefined;

/** An operator that computes each image along axis 0 from the input image in its place. Every other input must be a constant. */
function perImage(operation: Operation, { channels, weights }: Layout, places: Places): Result {
  const [input, ...others] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (others.some(carriesRows)) return mixed(operation, 'its weights depend on rows');
  if (!carriesRows(input)) return ofConstants(operation);
  if (input.rows.axis !== 0) return mixed(operation, NOT_FIRST);
  const { shape } = input;
  if (shape === undefined) return withRows(input.rows);
  const channelAxis = channels === 1 ? 1 : shape.length - 1;
  const kernel =
    operation.attributes.ints('kernel_shape') ??
    kernelOf(weights === undefined || channels === -1 ? undefined : operation.inputs[weights]);
  const sizes = shape.map((size, axis) => {
    if (axis === 0) return size;
    if (axis === channelAxis) return weights === undefined ? size : channelsOf(operation, weights);
    const place = axis - (channels === 1 ? 2 : 1);
    const [length, extent] = [numberOf(size), kernel?.[place]];
    const value = length === undefined || extent === undefined ? undefined : places(length, place, operation, extent);
    return value === undefined ? newSize(operation, axis) : number(value);
  });
  return withRows(input.rows, sizes);
}

function kernelOf(weights: Tracked | undefined): number[] | undefined {
  // The first two axes are the output and the input channels.
  const sizes = weights?.shape?.slice(2).map(numberOf);
  return sizes?.every((size) => size !== undefined) ? sizes : undefined;
}

function channelsOf(operation: Operation, weights: number): Size {
  const { shape } = operation.inputs[weights]!;
  if (shape === undefined) return newSize(operation, 'channels');
  if (!operation.type.endsWith('ConvTranspose')) return shape[0]!;
  return times(shape[1]!, number(operation.attributes.int('group') ?? 1));
}

/** The size of an output axis, by the formulas of https://onnx.ai/onnx/operators/onnx__MaxPool.html */
const windows: Places = (size, axis, { attributes }, kernel) => {
  const stride = attributes.ints('strides')?.[axis] ?? 1;
  const extent = (kernel - 1) * (attributes.ints('dilations')?.[axis] ?? 1) + 1;
  const padding = attributes.text('auto_pad') ?? 'NOTSET';
  if (padding.startsWith('SAME')) return Math.ceil(size / stride);
  const pads = padding === 'VALID' ? [] : (attributes.ints('pads') ?? []);
  const total = size + (pads[axis] ?? 0) + (pads[axis + pads.length / 2] ?? 0);
  const count = (total - extent) / stride + 1;
  return attributes.int('ceil_mode') === 1 ? undefined : Math.floor(count);
};

/** The size of an output axis, by the formula of https://onnx.ai/onnx/operators/onnx__ConvTranspose.html */
const transposed: Places = (size, axis, { attributes }, kernel) => {
  if (attributes.has('output_shape') || (attributes.text('auto_pad') ?? 'NOTSET') !== 'NOTSET') return undefined;
  const pads = attributes.ints('pads') ?? [];
  const stride = attributes.ints('strides')?.[axis] ?? 1;
  const extent = (kernel - 1) * (attributes.ints('dilations')?.[axis] ?? 1) + 1;
  const added = attributes.ints('output_padding')?.[axis] ?? 0;
  return stride * (size - 1) + added + extent - (pads[axis] ?? 0) - (pads[axis + pads.length / 2] ?? 0);
};

const convolution = (layout: Layout, places: Places = windows): Rule => ({
  apply: (operation) => perImage(operation, layout, places),
});

/** MaxPool. Its second output has indices that count from the first image of the run. */
const maxPool: Rule = {
  apply(operation) {
    const pooled = perImage(operation, { channels: 1 }, windows);
    if (operation.outputs === 1 || operation.inputs.every((input) => input?.rows === undefined)) return pooled;
    return [pooled as Tracked, mixed(operation, 'its indices count from the first row of the run')];
  },
};

const globalPool = (layout: Layout): Rule => ({
  apply(operation) {
    const [input] = operation.inputs as [Tracked];
    if (!carriesRows(input)) return ofConstants(operation);
    if (input.rows.axis !== 0) return mixed(operation, NOT_FIRST);
    const channels = layout.channels === 1 ? 1 : (input.shape?.length ?? 0) - 1;
    return withRows(
      input.rows,
      input.shape?.map((size, axis) => (axis === 0 || axis === channels ? size : number(1))),
    );
  },
});

/** Quantized convolution: scales and zero points are one number for each tensor, or one for each channel of the weights. */
const quantized = (weights: number, scalars: readonly number[]): Rule => ({
  apply(operation) {
    if (!scalars.every((i) => isScalar(operation.inputs[i]))) return unknown(operation, 'a scale is not one number');
    const isLast = operation.attributes.int('channels_last') === 1;
    return perImage(operation, { channels: isLast ? -1 : 1, weights }, windows);
  },
});

/** Resize and Upsample: new sizes of axes, by factors or given directly; the size of the row axis must not change. */
function resize(operation: Operation): Result {
  const [input, ...others] = operation.inputs as [Tracked, ...(Tracked | undefined)[]];
  if (!carriesRows(input)) return ofConstants(operation);
  if (others.some(carriesRows)) return mixed(operation, 'its sizes depend on the values of rows');
  const { rows, shape } = input;
  const { factors, sizes } = resizing(operation);
  const given = operation.attributes.ints('axes');
  if (given?.some((axis) => axis < 0) && shape === undefined) return unknown(operation, RANK_UNKNOWN);
  const axes = given?.map((axis) => (axis < 0 ? axis + shape!.length : axis));
  const at = axes === undefined ? rows.axis : axes.indexOf(rows.axis);
  const refused = at === -1 ? undefined : resizesRows(operation, rows.axis);
  if (refused !== undefined) return mixed(operation, refused);
  const [factor, size] = [factors?.[at], sizes?.[at]];
  if (at !== -1 && !isNumber(factor, 1) && !sameSize(size, extentOf(rows))) {
    if (factor === undefined && size === undefined) return unknown(operation, 'the sizes of its result are not known');
    return mixed(operation, 'it changes the number of rows');
  }
  const counted = [...(factors ?? []), ...(sizes ?? [])].some(
    (one, i) => i !== at && one !== undefined && hasRows(one),
  );
  if (counted || others.some((other) => other?.counted && other.elements === undefined)) {
    return mixed(operation, 'its sizes depend on the number of rows');
  }
  const result = shape?.map((one, axis) => {
    const i = axes === undefined ? axis : axes.indexOf(axis);
    if (i === -1 || axis === rows.axis) return one;
    const length = numberOf(one);
    const scale = numberOf(factors?.[i]);
    if (length !== undefined && scale !== undefined) return number(Math.floor(length * scale));
    return sizes?.[i] ?? newSize(operation, axis);
  });
  return withRows(rows, result);
}

/** Why an operator that keeps the number of rows does not keep the rows themselves; undefined if it does. */
function resizesRows({ attributes, inputs: [input] }: Operation, axis: number): string | undefined {
  if (attributes.text('coordinate_transformation_mode') === 'tf_crop_and_resize') return 'it may cut rows off';
  if ((attributes.text('keep_aspect_ratio_policy') ?? 'stretch') !== 'stretch') return 'it changes the number of rows';
  const isNearest = (attributes.text('mode') ?? 'nearest') === 'nearest';
  // With rank 4 or more, axis 0 is the batch; with less, the rows are lines or layers of one image.
  const isBatch = axis === 0 && (input?.shape?.length ?? 0) >= 4;
  return isNearest || isBatch ? undefined : 'it treats the rows as lines of an image';
}

interface Resizing {
  readonly factors: readonly (Size | undefined)[] | undefined;
  readonly sizes: readonly (Size | undefined)[] | undefined;
}

/** Up to operator set 10, and in Upsample, the factors are input 1; later they are input 2 and the sizes input 3. */
function resizing({ attributes, inputs, opset, type }: Operation): Resizing {
  const scales = type === 'Upsample' || opset < 11 ? inputs[1] : inputs[2];
  const factors = scales?.elements ?? attributes.floats('scales')?.map(number);
  return { factors: factors?.length === 0 ? undefined : factors, sizes: inputs[3]?.elements };
}

/** GridSample: samples each image at the places of its own grid. */
function gridSample(operation: Operation): Result {
  const [input, grid] = operation.inputs as [Tracked, Tracked];
  if (!carriesRows(input) && !carriesRows(grid)) return ofConstants(operation);
  if (!carriesRows(input) || !carriesRows(grid)) return mixed(operation, 'an input of a fixed size meets the rows');
  if (input.rows.axis !== 0 || !isSameAxis(input.rows, grid.rows)) return mixed(operation, NOT_FIRST);
  const places = grid.shape?.slice(1, -1);
  return withRows(input.rows, input.shape && places && [...input.shape.slice(0, 2), ...places]);
}

function affineGrid(operation: Operation): Result {
  const [theta, size] = operation.inputs as [Tracked, Tracked];
  if (!carriesRows(theta)) return ofConstants(operation);
  if (theta.rows.axis !== 0) return mixed(operation, NOT_FIRST);
  if (!sameSize(size.elements?.[0], extentOf(theta.rows)))
    return unknown(operation, 'the sizes of its result are not known');
  if (size.elements!.slice(1).some((one) => one !== undefined && hasRows(one)))
    return mixed(operation, DEPENDS_ON_COUNT);
  const places = size.elements!.slice(2).map((one, axis) => one ?? newSize(operation, axis));
  return withRows(theta.rows, [extentOf(theta.rows), ...places, number(places.length)]);
}

/** Col2Im: assembles images from blocks in columns. */
function col2im(operation: Operation): Result {
  const [input, image, block] = operation.inputs as [Tracked, Tracked, Tracked];
  if (!carriesRows(input)) return ofConstants(operation);
  if (carriesRows(image) || carriesRows(block)) return mixed(operation, 'its sizes depend on the values of rows');
  if (input.rows.axis !== 0) return mixed(operation, NOT_FIRST);
  const places = numbersOf(image)?.map(number);
  return withRows(input.rows, places && [extentOf(input.rows), newSize(operation, 'channels'), ...places]);
}

/** DeformConv: all inputs but the weights and the bias have the axis of the batch. */
function deformConv(operation: Operation): Result {
  const [input, weights, offset, bias, mask] = operation.inputs as (Tracked | undefined)[];
  const images = [input, offset, mask].filter((one) => one !== undefined);
  if (carriesRows(weights) || carriesRows(bias)) return mixed(operation, 'its weights depend on rows');
  if (!images.some(carriesRows)) return ofConstants(operation);
  const fits = images.every((one) => carriesRows(one) && isSameAxis(one.rows, { ...one.rows, axis: 0 }));
  const [first] = images;
  if (!fits || images.some((one) => !isSameAxis(one.rows!, first!.rows!))) return mixed(operation, NOT_FIRST);
  return withRows(
    first!.rows!,
    first!.shape?.map((size, axis) => (axis === 0 ? size : newSize(operation, axis))),
  );
}

const CHANNELS_FIRST: Layout = { channels: 1 };
const CHANNELS_LAST: Layout = { channels: -1 };
const WEIGHTS: Layout = { channels: 1, weights: 1 };

/** Rules of the operators on images: convolution, pooling, resizing, sampling. Axis 0 is the batch. */
export const CONVOLUTION: Rules = {
  AffineGrid: { sizes: [1], apply: affineGrid },
  AveragePool: convolution(CHANNELS_FIRST),
  Col2Im: { apply: col2im },
  Conv: convolution(WEIGHTS),
  ConvInteger: quantized(1, [2]),
  ConvTranspose: convolution(WEIGHTS, transposed),
  DeformConv: { apply: deformConv },
  GlobalAveragePool: globalPool(CHANNELS_FIRST),
  GlobalLpPool: globalPool(CHANNELS_FIRST),
  GlobalMaxPool: globalPool(CHANNELS_FIRST),
  GridSample: { apply: gridSample },
  LpPool: convolution(CHANNELS_FIRST),
  MaxPool: maxPool,
  QLinearConv: quantized(3, [1, 2, 6, 7]),
  Resize: { sizes: [1, 2, 3], apply: resize },
  Upsample: { sizes: [1], apply: resize },
  'com.microsoft.FusedConv': convolution(WEIGHTS),
  'com.microsoft.NhwcConv': convolution({ channels: -1, weights: 1 }),
  'com.microsoft.NhwcMaxPool': convolution(CHANNELS_LAST),
  'com.microsoft.QLinearAveragePool': {
    apply: (operation) =>
      convolution(operation.attributes.int('channels_last') === 1 ? CHANNELS_LAST : CHANNELS_FIRST).apply(operation),
  },
  'com.microsoft.QLinearConv': quantized(3, [1, 2, 6, 7]),
  'com.microsoft.QLinearGlobalAveragePool': {
    apply: (operation) =>
      globalPool(operation.attributes.int('channels_last') === 1 ? CHANNELS_LAST : CHANNELS_FIRST).apply(operation),
  },
};
