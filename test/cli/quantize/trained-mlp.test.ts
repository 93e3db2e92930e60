import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { before, describe, test } from 'node:test';
import type { Mode } from '../../../functions/cli/quantize/mode.ts';
import { createDynamicMode } from '../../../functions/cli/quantize/modes/dynamic/dynamic.ts';
import { createFloat16Mode } from '../../../functions/cli/quantize/modes/float16/float16.ts';
import { createStaticMode } from '../../../functions/cli/quantize/modes/static.ts';
import { createWeightsMode } from '../../../functions/cli/quantize/modes/weights.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { createQuantizer, open } from '../../helpers/quantize/quantize.ts';
import { tempFiles } from '../../helpers/temp-file.ts';
import { CLASSES, type LabelledImages, PIXELS } from '../../helpers/trained-models/images.ts';
import { type TrainedModel, trainMlp } from '../../helpers/trained-models/mlp.ts';

const quantize = createQuantizer('trained-mlp-');
const file = tempFiles('mlp-');
const ROWS = 1000;

const rowsOf = ({ pixels, count }: LabelledImages): Tensor[] =>
  Array.from({ length: count }, (_, row) => ({
    dtype: 'float32',
    dims: [1, PIXELS],
    data: pixels.slice(row * PIXELS, (row + 1) * PIXELS),
  }));

/** Mode, and its bars: the size of the file, relative to the float model, and the share of the rows that keep their class. */
type Bar = readonly [title: string, create: (trained: TrainedModel) => Mode, size: number, agreement: number];
const BARS: readonly Bar[] = [
  ['dynamic', () => createDynamicMode({ isPerChannel: true, isReduced: false }), 0.27, 0.99],
  ['static', ({ samples }) => createStatic(samples), 0.27, 0.985],
  ['float16', () => createFloat16Mode({ keepsIo: true }), 0.51, 0.999],
  ['weights of 4 bits', () => createWeightsMode({ bits: 4, blockSize: 32, isSymmetric: false }), 0.18, 0.97],
  ['weights of 8 bits', () => createWeightsMode({ bits: 8, blockSize: 128, isSymmetric: false }), 0.28, 0.99],
];

function createStatic(samples: LabelledImages): Mode {
  const rows = rowsOf(samples).map((tensor) => ({ tensors: [tensor], rows: 1 }));
  return createStaticMode({ rows: () => rows, workFolder: tmpdir() });
}

describe('the perceptron 784-1024-1024-10, trained on synthetic images, over images that it was not trained on', () => {
  let trained: TrainedModel;
  let expected: number[];
  before(async () => {
    trained = await trainMlp({ heldOutRows: ROWS });
    expected = await classes(file('mlp.onnx', trained.bytes));
  });

  for (const [title, create, size, agreement] of BARS) {
    test(`${title}: at most ${size} x the size, the same class for ${agreement} of the rows and more`, async () => {
      const { path, original } = await quantize(trained.bytes, create(trained));
      const ratio = statSync(path).size / statSync(original).size;
      assert.ok(ratio <= size, `${ratio} x`);
      const got = await classes(path);
      const share = expected.filter((label, row) => label === got[row]).length / ROWS;
      assert.ok(share >= agreement, `${share} of the rows`);
    });
  }

  /** The class of each row, in a run of its own: dynamic quantization would mix rows. */
  async function classes(path: string): Promise<number[]> {
    const session = await open(path);
    const labels: number[] = [];
    for (const row of rowsOf(trained.heldOut)) {
      const [scores] = await session.run([{ ...row, slot: 0 }]);
      const values = [...(scores!.data as Float32Array)];
      assert.equal(values.length, CLASSES);
      labels.push(values.indexOf(Math.max(...values)));
    }
    return labels;
  }
});
