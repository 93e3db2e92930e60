import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Mode } from '../../../functions/cli/quantize/mode.ts';
import { createDynamicMode } from '../../../functions/cli/quantize/modes/dynamic/dynamic.ts';
import { createFloat16Mode } from '../../../functions/cli/quantize/modes/float16/float16.ts';
import { createStaticMode } from '../../../functions/cli/quantize/modes/static.ts';
import { createWeightsMode } from '../../../functions/cli/quantize/modes/weights.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { createQuantizer, open } from '../../helpers/quantize/quantize.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris');
const quantize = createQuantizer('iris-');

/** Four measures of a flower, and its species. */
const FLOWERS = readFileSync(join(IRIS, 'iris.csv'), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => line.split(',').map(Number));
const ROWS = FLOWERS.map(
  (numbers): Tensor => ({ dtype: 'float32', dims: [1, 4], data: Float32Array.from(numbers.slice(0, 4)) }),
);

/** How many of the 150 flowers a model knows, each in a run of its own. */
async function rightOf(path: string): Promise<number> {
  const session = await open(path);
  let right = 0;
  for (const [i, row] of ROWS.entries()) {
    const [label] = await session.run([{ ...row, slot: 0 }]);
    if (Number((label!.data as BigInt64Array)[0]) === FLOWERS[i]![4]) right++;
  }
  return right;
}

const MODES: readonly Mode[] = [
  createDynamicMode({ isPerChannel: true, isReduced: false }),
  createStaticMode({ rows: () => ROWS.map((tensor) => ({ tensors: [tensor], rows: 1 })), workFolder: tmpdir() }),
  createFloat16Mode({ keepsIo: true }),
];

test('iris knows as many of its 150 flowers in every mode that applies', async () => {
  const bytes = readFileSync(join(IRIS, 'model.onnx'));
  const before = await rightOf(join(IRIS, 'model.onnx'));
  assert.equal(FLOWERS.length, 150);
  for (const mode of MODES) {
    const { path } = await quantize(bytes, mode);
    assert.ok((await rightOf(path)) >= before, `${mode.name}: ${await rightOf(path)} of ${before}`);
  }
  const weights = createWeightsMode({ bits: 4, blockSize: 16, isSymmetric: false });
  await assert.rejects(quantize(bytes, weights), /its weight weights is too small for blocks of 16$/);
});
