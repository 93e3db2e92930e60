import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { normalizeRows, type PoolingMode, pool, shortenRows } from '../../functions/text/pooling.ts';

/** Two rows of three tokens with two dimensions; the last token of the second row is padding. */
const STATES = {
  values: Float32Array.of(1, 2, 3, 4, 5, 9, -1, -2, 3, -4, 100, 100),
  rows: 2,
  tokens: 3,
  dimensions: 2,
};
const MASK = [1, 1, 1, 1, 1, 0];

const EXPECTED: [PoolingMode, number[]][] = [
  ['cls', [1, 2, -1, -2]],
  ['last', [5, 9, 3, -4]],
  ['mean', [3, 5, 1, -3]],
  ['max', [5, 9, 3, -2]],
  ['mean_sqrt_len', [9 / Math.sqrt(3), 15 / Math.sqrt(3), 2 / Math.SQRT2, -6 / Math.SQRT2]],
  ['weighted_mean', [22 / 6, 37 / 6, 5 / 3, -10 / 3]],
];
for (const [mode, expected] of EXPECTED) {
  test(`${mode} pools the tokens of the mask alone`, () => {
    assert.deepEqual(pool(mode, STATES, MASK), Float32Array.from(expected));
  });
  test(`${mode} gives the same with the padding on the left, and with a mask of int64`, () => {
    const values = Float32Array.of(...STATES.values.slice(0, 6), 100, 100, -1, -2, 3, -4);
    const mask = BigInt64Array.of(1n, 1n, 1n, 0n, 1n, 1n);
    assert.deepEqual(pool(mode, { ...STATES, values }, mask), Float32Array.from(expected));
  });
  test(`${mode} gives zeros for a row without tokens`, () => {
    assert.deepEqual(pool(mode, STATES, [0, 0, 0, 0, 0, 0]), new Float32Array(4));
  });
}

test('states and a mask that do not fit each other are refused', () => {
  for (const [states, mask] of [
    [STATES, [1, 1]],
    [{ ...STATES, rows: 3 }, new Array(9).fill(1)],
  ] as const) {
    assert.throws(
      () => pool('mean', states, mask),
      (error: ServingError) => error instanceof ServingError && error.code === 'INTERNAL',
    );
  }
});

test('rows get the length 1, and zeros stay zeros', () => {
  const values = Float32Array.of(3, 4, 0, 0);
  normalizeRows(values, 2);
  assert.deepEqual(values, Float32Array.of(0.6, 0.8, 0, 0));
});

test('embeddings are shortened to their first dimensions, and more than they have is refused', () => {
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  assert.deepEqual(shortenRows(values, 3, 2), Float32Array.of(1, 2, 4, 5));
  assert.equal(shortenRows(values, 3, 3), values);
  for (const kept of [0, 4, 1.5]) {
    assert.throws(() => shortenRows(values, 3, kept), /^ServingError: dimensions: expected 1 to 3, got /);
  }
});
