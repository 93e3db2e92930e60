import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initializer, model, node, value } from '../../functions/onnx/proto/build.ts';

/** Floats of the table: 200 MB of them. */
const ROWS = 12_500_000;

/**
 * Writes `<folder>/model.onnx`, 200 MB: `y` float32 [N,4] = `x` + row `row` of a table, whose elements are the row's index. It is large
 * to fetch and load, and trivial to run.
 */
export function writeLargeModel(folder: string, row: number): string {
  const table = new Float32Array(ROWS * 4);
  for (let i = 0; i < table.length; i++) table[i] = i >> 2;
  const bytes = model({
    name: 'large',
    nodes: [node('Gather', ['table', 'row'], ['picked'], { axis: 0n }), node('Add', ['x', 'picked'], ['y'])],
    initializers: [initializer('table', 'float32', [ROWS, 4], table), initializer('row', 'int64', [], [row])],
    inputs: [value('x', 'float32', ['N', 4])],
    outputs: [value('y', 'float32', ['N', 4])],
  });
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'model.onnx');
  writeFileSync(path, bytes);
  return path;
}
