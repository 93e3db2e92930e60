import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { calibrate } from '../../../../functions/cli/quantize/static/calibrate.ts';
import { instrumentModel } from '../../../../functions/cli/quantize/static/instrumented-model.ts';
import type { Feeds } from '../../../../functions/engine/batch-rows.ts';
import { openModel } from '../../../../functions/onnx/edit/open-model.ts';
import { initializer, model, node, value } from '../../../../functions/onnx/proto/build.ts';
import type { TensorSpec } from '../../../../functions/tensor/tensor.ts';
import { tempFiles } from '../../../helpers/temp-file.ts';
import { float32 } from '../../../helpers/tensors.ts';

const file = tempFiles('calibrate-');
const workFolder = mkdtempSync(join(tmpdir(), 'calibrate-work-'));
after(() => rmSync(workFolder, { recursive: true }));

/** `twice` = 2 x, `log` = log(twice), `y` = twice + 1, all [N, 2]; 64 x 64 weights that nothing needs. */
const path = file(
  'model.onnx',
  model({
    name: 'steps',
    nodes: [node('Add', ['x', 'x'], ['twice']), node('Log', ['twice'], ['log']), node('Add', ['twice', 'one'], ['y'])],
    initializers: [
      initializer('one', 'float32', [], [1]),
      initializer('w', 'float32', [64, 64], new Float32Array(4096)),
    ],
    inputs: [value('x', 'float32', ['N', 2])],
    outputs: [value('y', 'float32', ['N', 2])],
  }),
);
const row = (...values: number[]): Feeds => ({ tensors: [float32([1, 2], values)], rows: 1 });
const spec = (name: string, shape = [-1, 2]): TensorSpec => ({ name, dtype: 'float32', shape });
const ROWS = Array.from({ length: 200 }, (_, i) => row(1 + i / 100, -i / 400));

test('ranges are those of all rows, of inputs and of values between nodes; one that is not finite has none', async () => {
  const edited = openModel(path);
  const instrumented = await instrumentModel(edited, { workFolder });
  try {
    const progress: number[][] = [];
    const values = [{ ...spec('x'), input: 0 }, spec('twice'), spec('log'), spec('y')];
    const ranges = await calibrate(edited, instrumented, values, {
      rows: () => ROWS,
      method: { name: 'min-max' },
      progress: (done, total) => progress.push([done, total]),
    });
    const least = -199 / 400;
    assert.deepEqual(
      [...ranges].map(([name, { min, max }]) =>
        [name, min, max].map((one) => (typeof one === 'number' ? Math.fround(one) : one)),
      ),
      [
        ['x', Math.fround(least), Math.fround(2.99)],
        ['twice', Math.fround(2 * Math.fround(least)), Math.fround(2 * Math.fround(2.99))],
        ['y', Math.fround(2 * Math.fround(least) + 1), Math.fround(2 * Math.fround(2.99) + 1)],
      ],
    );
    // A first run of one row shows how much a row takes; then the rows share runs.
    assert.deepEqual(progress.at(-1), [400, 400]);
    assert.ok(progress.length <= 10, `${progress.length} runs`);
  } finally {
    instrumented.remove();
  }
  assert.deepEqual(readdirSync(workFolder), []);
});

test('values that take much memory are read in groups, and thresholds take a second pass', async () => {
  const edited = openModel(path);
  const instrumented = await instrumentModel(edited, { workFolder });
  const opened: string[][] = [];
  const counting = {
    ...instrumented,
    open(values: readonly string[]) {
      opened.push([...values]);
      return instrumented.open(values);
    },
  };
  try {
    const huge = [-1, 2 ** 24];
    const progress: number[][] = [];
    const ranges = await calibrate(edited, counting, [spec('twice', huge), spec('y', huge)], {
      rows: () => ROWS,
      method: { name: 'percentile', percentile: 90 },
      progress: (done, total) => progress.push([done, total]),
    });
    assert.deepEqual(opened, [['twice'], ['y']]);
    assert.deepEqual(progress.at(-1), [3 * 2 * 200, 3 * 2 * 200]);
    // A tenth of the magnitudes, from 0 to 5.98, is above 5.18.
    const { min, max } = ranges.get('twice')!;
    assert.ok(Math.abs(max - 5.18) < 0.01, `${max}`);
    assert.equal(Math.fround(min), Math.fround(-199 / 200));
  } finally {
    instrumented.remove();
  }
});

test('weights are copied once, and the files go when the work is aborted', async () => {
  const edited = openModel(path);
  const instrumented = await instrumentModel(edited, { workFolder });
  const controller = new AbortController();
  const work = calibrate(edited, instrumented, [spec('twice')], {
    rows: () => ROWS,
    method: { name: 'min-max' },
    signal: controller.signal,
    progress() {
      const [folder] = readdirSync(workFolder);
      assert.deepEqual(
        readdirSync(join(workFolder, folder!)).filter((name) => name.endsWith('.data')),
        ['model.onnx.data'],
      );
      controller.abort(new Error('interrupted'));
    },
  });
  await assert.rejects(work, /interrupted/);
  instrumented.remove();
  assert.deepEqual(readdirSync(workFolder), []);
  assert.ok(existsSync(path));
});

test('a calibration without rows is refused', async () => {
  const edited = openModel(path);
  const instrumented = await instrumentModel(edited, { workFolder });
  try {
    const none = { rows: () => [], method: { name: 'min-max' }, progress: () => {} } as const;
    await assert.rejects(calibrate(edited, instrumented, [spec('twice')], none), {
      code: 'INVALID_INPUT',
      message: 'static quantization needs rows of samples to calibrate with, and there are none',
    });
  } finally {
    instrumented.remove();
  }
});
