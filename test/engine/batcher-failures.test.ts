import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { ask, quiet, request, settleAll, setUpBatcher, valuesOfRuns } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

test('outputs without one row for each input row end the joining for good, and every row gets its result from its own run', async () => {
  const misfits: string[] = [];
  const { runner, batcher } = setUpBatcher({ onMisfit: (what) => misfits.push(what) });
  const asked = [ask(batcher, request([1, 2])), ask(batcher, request([3]))];
  await quiet();
  runner.open[0]!.finish([float32([2, 1], [7, 8])]);
  const late = ask(batcher, request([4, 5]));
  for (const rows of [1, 3, 0, 1, 1]) {
    await quiet();
    const [run] = runner.open;
    assert.equal(run!.values.length, 1);
    run!.finish([float32([rows, 1], new Array(rows).fill(run!.values[0]! * 10))]);
  }
  await quiet();
  assert.deepEqual(
    [...asked, late].map(({ settled }) => settled),
    [[10, 'whole 20,20,20'], ['whole '], [40, 50]],
  );
  assert.deepEqual(misfits, ['output 0 has the shape [2,1] for 3 rows']);
});

test('a single row whose outputs do not have one row ends the joining too, and gets them as they are', async () => {
  const misfits: string[] = [];
  const { runner, batcher } = setUpBatcher({ onMisfit: (what) => misfits.push(what) });
  const asked = ask(batcher, request([1]));
  await quiet();
  runner.open[0]!.finish([float32([2, 1], [5, 6])]);
  await quiet();
  assert.deepEqual([asked.settled, misfits], [['whole 5,6'], ['output 0 has the shape [2,1] for 1 row']]);
  const next = [ask(batcher, request([2])), ask(batcher, request([3]))];
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(
    next.map(({ settled }) => settled),
    [[20], [30]],
  );
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [2], [3]]);
});

test('the outputs of a joined run that fits are not used once another has shown a misfit', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2 }, 2);
  const asked = ask(batcher, request([1, 2, 3, 4]));
  await quiet();
  const [first, second] = [...runner.open];
  first!.finish([float32([1, 1], [9])]);
  await quiet();
  second!.finish([float32([2, 1], [9, 9])]);
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(asked.settled, [10, 20, 30, 40]);
});

test('rows that are in the queue, waiting for room, or to run once more are rejected when the engines keep ending', async () => {
  let error: ServingError | undefined;
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 4, maxBatchSize: 2, fault: () => error });
  const bulk = { bulk: true, begun: true } as const;
  const again = ask(batcher, request([1, 2]));
  await quiet();
  const queued = [ask(batcher, request([3, 4]), { cancelled: false }, bulk), ask(batcher, request([5]))];
  const waiting = ask(batcher, request([6, 7]), { cancelled: false }, bulk);
  runner.open[0]!.fail('crashed');
  await quiet();
  const asked = [again, ...queued, waiting];
  assert.ok(
    asked.every(({ settled }) => settled === undefined),
    'the next engine would run them',
  );
  error = new ServingError('NOT_READY', 'the engines keep ending');
  runner.reportFault();
  await quiet();
  assert.deepEqual(
    asked.map(({ settled, times }) => [settled, times]),
    new Array(4).fill(['NOT_READY', 1]),
  );
  assert.equal(batcher.depth(), 0);
  error = undefined;
  runner.replace();
  const next = ask(batcher, request([8]));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual([next.settled, valuesOfRuns(runner.runs)], [[80], [[1, 2], [8]]]);
});

test('the rows of the run that ended the last engine are rejected too, though its end is known before the failure of the run', async () => {
  const error = new ServingError('NOT_READY', 'the engines keep ending');
  const { runner, batcher } = setUpBatcher({ fault: () => error });
  const asked = ask(batcher, request([1, 2]));
  await quiet();
  runner.reportFault();
  runner.open[0]!.fail('crashed');
  await quiet();
  assert.deepEqual([asked.settled, asked.times], ['NOT_READY', 1]);
});

test('an entry that was rejected while a part of it ran is not rejected again, nor does its run disturb the queue', async () => {
  const error = new ServingError('NOT_READY', 'the engines keep ending');
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2, fault: () => error }, 1);
  const cut = ask(batcher, request([1, 2, 3, 4]));
  await quiet();
  // The end of the last engine is known before its run has failed.
  runner.reportFault();
  runner.open[0]!.fail('crashed');
  await quiet();
  assert.deepEqual([cut.settled, cut.times, batcher.depth()], ['NOT_READY', 1, 0]);
});
