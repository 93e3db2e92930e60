import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sigmoid, softmaxRows } from '../../functions/tensor/activation.ts';

function assertClose(got: ArrayLike<number>, expected: readonly number[]): void {
  assert.equal(got.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(got[i]! - value) < 1e-7 || Object.is(got[i], value), `[${i}] is ${got[i]}, not ${value}`);
  }
}

const { NaN: NAN, POSITIVE_INFINITY: INFINITE } = Number;

/** e, e² and e³ by their sum 30.19287; powers whose ratios are whole numbers. */
const SOFTMAX: [title: string, logits: number[], width: number, scores: number[]][] = [
  ['1, 2 and 3', [1, 2, 3], 3, [0.09003057, 0.24472847, 0.66524096]],
  ['logarithms, which is their shares', [Math.log(2), Math.log(3), Math.log(5)], 3, [0.2, 0.3, 0.5]],
  ['each row', [0, 0, 0, Math.log(3)], 2, [0.5, 0.5, 0.25, 0.75]],
  ['large logits', [1000, 1000, -1000, 1000], 2, [0.5, 0.5, 0, 1]],
  ['one logit', [-7], 1, [1]],
  ['a masked logit', [0, -INFINITE, 0], 3, [0.5, 0, 0.5]],
  ['a row with NaN, and no other row', [NAN, 1, 0, 0], 2, [NAN, NAN, 0.5, 0.5]],
  ['a row with Infinity', [INFINITE, 1], 2, [NAN, NAN]],
  ['nothing', [], 0, []],
];
for (const [title, logits, width, scores] of SOFTMAX) {
  test(`softmax is that of ${title}, in both dtypes`, () => {
    assertClose(softmaxRows(Float32Array.from(logits), width), scores);
    const exact = Float64Array.from(logits);
    assertClose(softmaxRows(exact, width), scores);
    assert.deepEqual(exact, Float64Array.from(logits));
  });
}

test('sigmoid is of each logit, and stays finite for large ones', () => {
  const logits = [0, Math.log(3), -Math.log(3), 1000, -1000, INFINITE, -INFINITE, NAN];
  const scores = [0.5, 0.75, 0.25, 1, 0, 1, 0, NAN];
  assertClose(sigmoid(Float32Array.from(logits)), scores);
  assertClose(sigmoid(Float64Array.from(logits)), scores);
});
