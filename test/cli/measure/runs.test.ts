import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureModel } from '../../../functions/cli/measure/measure-model.ts';
import { bestBatch, measureRuns, type RunTime } from '../../../functions/cli/measure/runs.ts';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import { RunError } from '../../../functions/engine/process/engine-process.ts';
import type { JoinedTensor } from '../../../functions/engine/process/frame.ts';
import { addConstant } from '../../helpers/models.ts';
import { tempFiles } from '../../helpers/temp-file.ts';

const write = tempFiles('measure-runs-');

const feeds = (...values: number[]): Feeds => ({
  tensors: [{ dtype: 'float32', dims: [1, values.length], data: Float32Array.from(values) }],
  rows: 1,
});

/** An engine that records what it runs. */
function recorder(fail: (rows: number) => Error | undefined = () => undefined) {
  const runs: JoinedTensor[] = [];
  return {
    runs,
    async run([input]: readonly JoinedTensor[]) {
      runs.push(input!);
      const error = fail(input!.dims[0]!);
      if (error !== undefined) throw error;
      return [];
    },
  };
}

test('each size is measured a few times, with the given rows over and over', async () => {
  const engine = recorder();
  const seen: number[] = [];
  const times = await measureRuns(engine, [feeds(1, 2), feeds(3, 4)], {
    sizes: [1, 3],
    budgetMs: 0,
    onSize: (rows) => seen.push(rows),
  });
  assert.deepEqual(seen, [1, 3]);
  assert.deepEqual(
    times.map(({ rows, runs }) => [rows, runs]),
    [
      [1, 3],
      [3, 3],
    ],
  );
  const last = engine.runs.at(-1)!;
  assert.deepEqual(
    [last.dims, last.parts.flatMap((part) => [...(part as Float32Array)])],
    [
      [3, 2],
      [1, 2, 3, 4, 1, 2],
    ],
  );
});

test('sizes end with the first that fails, with its reason, and before a run is larger than one of the server', async () => {
  const failing = recorder((rows) => (rows > 2 ? new RunError('failed', 'too many rows') : undefined));
  const times = await measureRuns(failing, [feeds(1)], { sizes: [1, 2, 4, 8], budgetMs: 0 });
  assert.deepEqual(times.at(-1), { rows: 4, runs: 0, fault: 'too many rows' });
  assert.equal(times.length, 3);
  const wide: Feeds = { tensors: [{ dtype: 'float32', dims: [1, 2 ** 21], data: new Float32Array(2 ** 21) }], rows: 1 };
  const large = await measureRuns(recorder(), [wide], {
    sizes: [1, 4, 8],
    budgetMs: 0,
  });
  assert.deepEqual(
    large.map(({ rows }) => rows),
    [1, 4],
  );
});

test('a fault that is not of the run is thrown', async () => {
  const broken = recorder(() => new TypeError('a fault of the program'));
  await assert.rejects(measureRuns(broken, [feeds(1)], { sizes: [1] }), TypeError);
});

test('the best batch is the smallest from which a larger one gains little', () => {
  const time = (rows: number, rowsPerSecond?: number): RunTime => ({
    rows,
    runs: 3,
    ...(rowsPerSecond && { rowsPerSecond }),
  });
  assert.equal(bestBatch([time(1, 100), time(2, 190), time(4, 300), time(8, 310), time(16)])?.rows, 4);
  assert.equal(bestBatch([time(1, 100), time(2, 101)])?.rows, 1);
  assert.equal(bestBatch([time(1)]), undefined);
});

test('a model is loaded several times, and its runs are measured in the last process', async () => {
  const steps: string[] = [];
  const measured = await measureModel({
    path: write('add.onnx', addConstant(1)),
    rowsFor: () => [feeds(1, 2)],
    sizes: () => [1, 4],
    budgetMs: 0,
    loads: 2,
    onStep: (what, done, total) => steps.push(`${what} ${done}/${total}`),
  });
  assert.deepEqual(
    measured.runs.map(({ rows }) => rows),
    [1, 4],
  );
  assert.ok(measured.loadMs > 0 && measured.best !== undefined);
  assert.deepEqual(
    steps.map((step) => step.split(' ').slice(0, -1).join(' ')),
    ['loading', 'loading', 'runs of 1 row', 'runs of 4 rows'],
  );
  assert.equal(steps.at(-1), 'runs of 4 rows 3/4');
});
