import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  channelsOf,
  type LinearOptions,
  linearParameters,
  oneChannel,
  type QuantizedDtype,
  quantizeChannels,
  roundHalfToEven,
} from '../../../../functions/cli/quantize/kernels/linear.ts';

const SYMMETRIC = { isSymmetric: true };
const ASYMMETRIC = { isSymmetric: false };

test('rounding takes ties to the even integer, as numpy does', () => {
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 2.4999, -3.7].map(roundHalfToEven), [0, 2, 2, 0, -2, -2, 2, -4]);
});

/** Range, type, options; integers of the range, from `get_qmin_qmax_for_qType` and `compute_scale_zp` of onnxruntime. */
const PARAMETERS: [number, number, QuantizedDtype, LinearOptions, scale: number, zeroPoint: number][] = [
  [-2, 1, 'int8', SYMMETRIC, 4 / 254, 0],
  [-1, 1, 'int8', { isSymmetric: true, isReduced: true }, 2 / 128, 0],
  [-1, 1, 'uint8', SYMMETRIC, 2 / 255, 128],
  [-1, 3, 'uint8', ASYMMETRIC, 4 / 255, 64],
  [-1, 3, 'uint8', { isSymmetric: false, isReduced: true }, 4 / 127, 32],
  [-1, 3, 'int8', ASYMMETRIC, 4 / 255, -64],
  // 0 is in the range of both, so that padding and ReLU are exact.
  [2, 4, 'uint8', ASYMMETRIC, 4 / 255, 0],
  [-4, -2, 'uint8', ASYMMETRIC, 4 / 255, 255],
  [0, 0, 'int8', SYMMETRIC, 1, 0],
  [0, 1e-39, 'uint8', ASYMMETRIC, 1, 0],
];

test('scale and zero point are those of the quantizer of onnxruntime', () => {
  for (const [min, max, dtype, options, scale, zeroPoint] of PARAMETERS) {
    const found = linearParameters(Math.fround(min), Math.fround(max), dtype, options);
    assert.deepEqual(found, { scale: Math.fround(scale), zeroPoint }, `${min} to ${max}, ${dtype}`);
  }
});

test('each column of a matrix has a scale of its own, and the largest element of each is 127 or -127', () => {
  const values = Float32Array.of(1, -20, 0, 0.5, 10, 0);
  const { data, scales, zeroPoints } = quantizeChannels(values, channelsOf([2, 3], -1), 'int8', SYMMETRIC);
  assert.deepEqual([...data], [127, -127, 0, 64, 64, 0]);
  assert.deepEqual([...scales], [2 / 254, 40 / 254, 1].map(Math.fround));
  assert.deepEqual([...zeroPoints], [0, 0, 0]);
});

test('an element between two integers gets the even one', () => {
  const values = Float32Array.of(127, 62.5, -62.5, 63.5, -0.5);
  assert.deepEqual([...quantizeChannels(values, oneChannel(values), 'int8', SYMMETRIC).data], [127, 62, -62, 64, 0]);
});

test('the channels of an axis in the middle are apart', () => {
  const { outer, channels, inner } = channelsOf([2, 3, 4], 1);
  assert.deepEqual([outer, channels, inner], [2, 3, 4]);
  const values = Float32Array.from({ length: 24 }, (_, i) => Math.floor(i / 4) % 3);
  const { scales, data } = quantizeChannels(values, { outer, channels, inner }, 'int8', SYMMETRIC);
  assert.deepEqual([...scales], [1, 2 / 254, 4 / 254].map(Math.fround));
  assert.deepEqual([...data.slice(12)], [0, 0, 0, 0, 127, 127, 127, 127, 127, 127, 127, 127]);
});

test('the real number of each integer is at most half a scale from the element', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i * i) * (1 + (i % 7)));
  for (const dtype of ['int8', 'uint8'] as const) {
    const options = { isSymmetric: dtype === 'int8' };
    const { data, scales, zeroPoints } = quantizeChannels(values, oneChannel(values), dtype, options);
    const worst = Math.max(
      ...values.map((value, i) => Math.abs((data[i]! - zeroPoints[0]!) * scales[0]! - value) / scales[0]!),
    );
    assert.ok(worst <= 0.5001, `${dtype}: ${worst}`);
  }
});

test('an element that is not finite is an error', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const values = Float32Array.of(1, value, 2);
    assert.throws(() => quantizeChannels(values, oneChannel(values), 'int8', SYMMETRIC), RangeError);
  }
});
