import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Normalisation, normalise } from '../../functions/pictures/normalise.ts';

const HOW: Normalisation = { scale: 1 / 255, mean: [0.5, 0.25, 0], std: [0.5, 1, 2], order: 'RGB' };
/** Two pictures of 2 x 1. */
const PIXELS = Uint8Array.of(255, 255, 255, 0, 0, 0, 51, 51, 51, 102, 102, 102);
const SHAPE = { width: 2, height: 1 };

test('NCHW has a plane for each channel of each picture, NHWC the channels of each pixel', () => {
  const planes = normalise(PIXELS, SHAPE, HOW, 'NCHW', 'float32');
  const expected = [1, -1, 0.75, -0.25, 0.5, 0, -0.6, -0.2, -0.05, 0.15, 0.1, 0.2];
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(planes[i]! - value) < 1e-6, `${i}: ${planes[i]}`);
  const pixels = normalise(PIXELS, SHAPE, HOW, 'NHWC', 'float32');
  assert.deepEqual([...pixels.subarray(0, 3)], [planes[0], planes[2], planes[4]]);
  assert.deepEqual([...pixels.subarray(9)], [planes[7], planes[9], planes[11]]);
});

test('BGR swaps the planes; mean and deviation stay with their colour', () => {
  const straight = normalise(PIXELS, SHAPE, HOW, 'NCHW', 'float32');
  const swapped = normalise(PIXELS, SHAPE, { ...HOW, order: 'BGR' }, 'NCHW', 'float32');
  assert.deepEqual(
    [...swapped.subarray(0, 6)],
    [4, 5, 2, 3, 0, 1].map((i) => straight[i]),
  );
});

test('float16 has the bits of the nearest half', () => {
  const halves = normalise(PIXELS, SHAPE, HOW, 'NCHW', 'float16');
  assert.deepEqual([...halves.subarray(0, 6)], [0x3c00, 0xbc00, 0x3a00, 0xb400, 0x3800, 0]);
});

test('uint8 has the pixels as they are', () => {
  assert.deepEqual(normalise(PIXELS, SHAPE, HOW, 'NHWC', 'uint8'), PIXELS);
});
