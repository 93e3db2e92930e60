import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../functions/engine/batch-rows.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { ask, quiet, range, request, settleAll, setUpBatcher, tenfold, valuesOfRuns } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

test('a run has at most the allowed rows, in the order of arrival', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4 });
  for (const value of [1, 4, 7, 10]) ask(batcher, request(range(value, 3)));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 4), range(5, 4), range(9, 4)]);
});

test('a joined run is bounded by bytes as well: rows of 12 MiB run two at a time, one larger than the bound alone', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 64 });
  const image = {
    tensors: [{ dtype: 'float32', dims: [1, 3, 1024, 1024], data: new Float32Array(3 * 2 ** 20) }],
    rows: 1,
  } as const;
  const large = {
    tensors: [{ dtype: 'float32', dims: [1, 3, 1024, 4096], data: new Float32Array(12 * 2 ** 20) }],
    rows: 1,
  } as const;
  const output = (rows: number): Tensor => ({ dtype: 'float32', dims: [rows, 1], data: new Float32Array(rows) });
  const answers = [large, ...new Array<Feeds>(64).fill(image)].map((feeds) =>
    batcher.predict(feeds, { cancelled: false }),
  );
  for (await quiet(); runner.open.length > 0; await quiet()) {
    const [run] = runner.open;
    run!.finish([output(run!.inputs[0]!.dims[0]!)]);
  }
  await Promise.all(answers);
  assert.deepEqual(
    runner.runs.map(({ inputs }) => inputs[0]!.dims[0]),
    [1, ...new Array<number>(32).fill(2)],
  );
});

test('outputs larger than their inputs bound the next runs', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchBytes: 400 });
  for (const value of range(1, 8)) ask(batcher, request([value]));
  await quiet();
  runner.open[0]!.finish([float32([8, 50], new Array(400).fill(0))]);
  for (const value of range(9, 8)) ask(batcher, request([value]));
  await settleAll({ runner, batcher }, () => undefined);
  // An engine gets its next run before the outputs of its last are looked at.
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 8), range(9, 2), range(11, 2), range(13, 4)]);
});

test('rows of a shape that is new are bounded by the outputs of others, in proportion to their inputs', async () => {
  // A row that has run gave 50 bytes for each byte of its inputs, so that the 4 bytes of each of these give 200.
  const { runner, batcher } = setUpBatcher({ maxBatchBytes: 400, outputFactor: 50 });
  for (const value of range(1, 5)) ask(batcher, request([value]));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 2), range(3, 2), [5]]);
});

test('the memory that runs take bounds their inputs, also those of one request; a row that takes more runs alone', async () => {
  const { runner, batcher } = setUpBatcher();
  let most = 9;
  runner.mostRunBytes = () => most;
  ask(batcher, request(range(1, 5)));
  await quiet();
  runner.open[0]!.finish();
  await quiet();
  most = 0;
  for (const value of range(6, 2)) ask(batcher, request([value]));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 2), range(3, 2), [5], [6], [7]]);
});

test('a request of many rows is split by bytes', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchBytes: 13 });
  const asked = ask(batcher, request(range(1, 8)));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 3), range(4, 3), range(7, 2)]);
  assert.deepEqual(asked.settled, tenfold(range(1, 8)));
});

test('rows of different keys never share a run; the oldest key runs first', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = [
    ask(batcher, request([1])),
    ask(batcher, request([2], 3)),
    ask(batcher, request([3])),
    ask(batcher, request([4], 3)),
  ];
  await settleAll({ runner, batcher }, (run) => {
    assert.equal(new Set(run.values.map((value) => value % 2)).size, 1);
    return undefined;
  });
  assert.deepEqual(valuesOfRuns(runner.runs), [
    [1, 3],
    [2, 4],
  ]);
  assert.deepEqual(
    asked.map(({ settled }) => settled),
    [[10], [20], [30], [40]],
  );
});

test('requests of a model that is not joined run one at a time, completely, whatever their size', async () => {
  const { runner, batcher } = setUpBatcher({ join: false, maxBatchSize: 2, delayMs: 1000 }, 2);
  const tensors = [float32([5, 1], range(1, 5)), float32([3, 1], range(6, 3)), float32([], [9])];
  for (const tensor of tensors) ask(batcher, { tensors: [tensor], rows: 1 });
  await quiet();
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 5), range(6, 3), [9]]);
  assert.deepEqual(
    runner.runs.map(({ inputs }) => inputs[0]!.dims),
    [[5, 1], [3, 1], []],
  );
});

test('rows of a cancelled request do not run, and no longer count as waiting', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2 });
  ask(batcher, request([1]));
  await quiet();
  const leaving = ask(batcher, request([2]));
  const partly = ask(batcher, request(range(3, 4)));
  const staying = ask(batcher, request([7]));
  leaving.cancellation.cancelled = true;
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [3, 4]]);
  assert.equal(leaving.settled, 'CLIENT_GONE');
  partly.cancellation.cancelled = true;
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [3, 4], [7]]);
  assert.deepEqual([partly.settled, staying.settled, batcher.depth()], ['CLIENT_GONE', [70], 0]);
});

test('with a delay, the first row waits that long for others', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const pass = async (ms: number): Promise<void> => {
    now += ms;
    t.mock.timers.tick(ms);
    await quiet();
  };
  const { runner, batcher } = setUpBatcher({ delayMs: 20, maxBatchSize: 3 });
  ask(batcher, request([1]));
  await quiet();
  await pass(15);
  ask(batcher, request([2]));
  await pass(4);
  assert.deepEqual(valuesOfRuns(runner.runs), []);
  await pass(1);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2]]);
  runner.open[0]!.finish();
  await quiet();

  for (const value of [3, 4, 5]) ask(batcher, request([value]));
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs)[1], [3, 4, 5], 'a full run does not wait');
  ask(batcher, request([6]));
  await pass(30);
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs)[2], [6], 'who has waited long enough for an engine does not wait again');
});

test('a slice that would run again does not run if its request was cancelled meanwhile', async () => {
  const { runner, batcher } = setUpBatcher();
  const [leaving, staying] = [ask(batcher, request([1])), ask(batcher, request([2]))];
  await quiet();
  runner.open[0]!.fail('crashed');
  leaving.cancellation.cancelled = true;
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2], [2]]);
  assert.deepEqual([leaving.settled, staying.settled], ['CLIENT_GONE', [20]]);
});
