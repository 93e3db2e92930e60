import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as scalar from '../../functions/pictures/convolve.ts';
import type { Pixels } from '../../functions/pictures/pixels.ts';
import { simd } from '../../functions/pictures/simd.ts';

const vector = simd()!;

/** Values that look random, from 0 to 1. */
function noise(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

function pixelsOf(width: number, height: number, next: () => number): Pixels {
  return { data: Uint8Array.from({ length: width * height * 3 }, () => next() * 256), width, height };
}

/** Weights from `from` to `to` indexes that sum up to 1, some of them negative, with sums beyond both ends of a byte. */
function weightsOf(from: number, to: number, taps: number, next: () => number): scalar.Weights {
  const stride = taps + 1;
  const first = Int32Array.from({ length: to }, (_, i) => Math.floor((i * Math.max(0, from - 1)) / to));
  // As of a real picture: the ends of the ranges rise, as their starts do.
  const count = first.map((start) => Math.min(from - start, taps));
  const values = Int32Array.from({ length: to * stride }, () => (next() - 0.3) * (2 ** 23 / taps));
  return { first, count, values, stride };
}

test('sums by vector instructions are those of the plain code, byte for byte', () => {
  const side = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(side, side, side, fc.integer({ min: 1, max: 20 }), fc.integer(), (width, height, to, taps, seed) => {
      const next = noise(seed);
      const image = pixelsOf(width, height, next);
      const across = weightsOf(width, to, taps, next);
      assert.deepEqual(vector.convolveRows(image, 0, across), scalar.convolveRows(image, 0, across));
      const down = weightsOf(height, to, taps, next);
      assert.deepEqual(vector.convolveColumns(image, 0, down), scalar.convolveColumns(image, 0, down));
    }),
  );
});

test('a part of a picture, whose first column and row are not the first of the weights, is summed up alike', () => {
  const next = noise(7);
  const image = pixelsOf(20, 30, next);
  const shifted = (weights: scalar.Weights): scalar.Weights => ({
    ...weights,
    first: weights.first.map((at) => at + 5),
  });
  const across = shifted(weightsOf(20, 9, 4, next));
  assert.deepEqual(vector.convolveRows(image, 5, across), scalar.convolveRows(image, 5, across));
  const down = shifted(weightsOf(30, 9, 4, next));
  assert.deepEqual(vector.convolveColumns(image, 5, down), scalar.convolveColumns(image, 5, down));
});

test('a picture that is larger than the memory for it is summed up in parts', () => {
  const next = noise(3);
  const image = pixelsOf(2500, 1500, next);
  const across = weightsOf(2500, 40, 5, next);
  assert.ok(
    Buffer.compare(vector.convolveRows(image, 0, across).data, scalar.convolveRows(image, 0, across).data) === 0,
  );
  const down = weightsOf(1500, 40, 60, next);
  const columns = [vector, scalar].map(({ convolveColumns }) => convolveColumns(image, 0, down).data);
  assert.ok(Buffer.compare(columns[0]!, columns[1]!) === 0);
});
