import { initializer, model, node, value } from '../../scripts/onnx/build.ts';

/** `y` = `x` + 1, float32 [N,2], with 8 MB beside it that make it worth caching. */
export function padded(): Uint8Array {
  const weights = [
    initializer('one', 'float32', [], [1]),
    initializer('pad', 'float32', [2_000_000], new Float32Array(2e6)),
  ];
  return model({
    name: 'padded',
    nodes: [node('Add', ['x', 'one'], ['y'])],
    initializers: weights,
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('y', 'float32', ['N', 2])],
  });
}
