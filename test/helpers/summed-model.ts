import { DATA_TYPES } from '../../functions/onnx/data-type.ts';
import { initializer, node } from '../../scripts/onnx/build.ts';
import { unary } from './model-parts.ts';

/**
 * `y` = `x` + `constant`, float32 [N,2], where the constant is the sum of about `bytes` bytes of weights: one bit that
 * is another, a byte too few, or a block that comes twice, gives another answer.
 */
export function summed(constant: number, bytes: number): Uint8Array<ArrayBuffer> {
  const weights = new Int32Array(Math.floor(bytes / 4));
  let sum = 0;
  for (let i = 1; i < weights.length; i++) {
    weights[i] = Math.imul(i, 0x9e3779b1) >> 22;
    sum += weights[i]!;
  }
  weights[0] = constant - sum;
  return unary(
    ['N', 2],
    [
      node('ReduceSum', ['weights'], ['sum'], { keepdims: 0n }),
      node('Cast', ['sum'], ['constant'], { to: BigInt(DATA_TYPES.float32) }),
      node('Add', ['x', 'constant'], ['y']),
    ],
    [initializer('weights', 'int32', [weights.length], weights)],
  );
}
