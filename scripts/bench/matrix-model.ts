import { writeFileSync } from 'node:fs';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';

/** Rows and columns of each matrix: 16.8 MB of float32. */
export const COLUMNS = 2048;

/** Writes `y` float32 [N,2048] = `x` multiplied by so many matrices. @returns the bytes of the file */
export function writeMatrixModel(path: string, matrices: number): number {
  // The scale keeps the size of the signal from one product to the next.
  const weights = Float32Array.from({ length: COLUMNS ** 2 }, (_, i) => (((i * 7919) % 2003) / 1001 - 1) / 26);
  // onnxruntime packs equal matrices once.
  const own = (matrix: number): Float32Array<ArrayBuffer> => weights.slice().fill(matrix / 1000, 0, 1);
  const names = Array.from({ length: matrices }, (_, i) => [i === 0 ? 'x' : `h${i}`, `w${i}`, `h${i + 1}`] as const);
  const bytes = model({
    name: 'matrices',
    nodes: [
      ...names.map(([from, weight, to]) => node('MatMul', [from, weight], [to])),
      node('Identity', [`h${matrices}`], ['y']),
    ],
    initializers: names.map(([, weight], i) => initializer(weight, 'float32', [COLUMNS, COLUMNS], own(i))),
    inputs: [value('x', 'float32', ['N', COLUMNS])],
    outputs: [value('y', 'float32', ['N', COLUMNS])],
  });
  writeFileSync(path, bytes);
  return bytes.length;
}
