import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHalves } from '../../../../functions/cli/quantize/kernels/half.ts';

test('float16 rounds to the nearest, ties to even', () => {
  const { data, clamped, raised } = toHalves(Float32Array.of(0, -0, 1, -2, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24));
  assert.deepEqual([...data], [0, 0x8000, 0x3c00, 0xc000, 0x3c00, 0x3c02, 1]);
  assert.deepEqual([clamped, raised], [0, 0]);
});

test('a finite element stays finite, and one beside 0 does not become 0: both are counted', () => {
  const { data, clamped, raised } = toHalves(Float32Array.of(65504, 65519, -1e30, 1e-8, -1e-40, 3.4e38));
  assert.deepEqual([...data], [0x7bff, 0x7bff, 0xfbff, 1, 0x8001, 0x7bff]);
  assert.deepEqual([clamped, raised], [3, 2]);
});

test('infinities and NaN stay, and are not counted', () => {
  const { data, clamped, raised } = toHalves(
    Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN),
  );
  assert.deepEqual([...data], [0x7c00, 0xfc00, 0x7e00]);
  assert.deepEqual([clamped, raised], [0, 0]);
});
