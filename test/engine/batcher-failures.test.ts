import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { ask, quiet, range, request, settleAll, setUpBatcher, tenfold, valuesOfRuns } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

test('a bad row fails alone; the other rows of its batch get results, in a number of runs that grows with the logarithm of the batch', async () => {
  for (const [rows, bad] of [
    [64, [17]],
    [64, [0, 63]],
    [1, [0]],
    [50, [49]],
  ] as const) {
    const { runner, batcher } = setUpBatcher({ maxBatchSize: 64 });
    const asked = range(0, rows).map((value) => ask(batcher, request([value])));
    await settleAll({ runner, batcher }, ({ values }) =>
      values.some((value) => bad.includes(value as never)) ? 'failed' : undefined,
    );
    for (const [value, { settled }] of asked.entries()) {
      assert.deepEqual(settled, bad.includes(value as never) ? ['MODEL_FAILED'] : [value * 10]);
    }
    const most = 1 + 2 * Math.ceil(Math.log2(rows)) * bad.length;
    assert.ok(
      runner.runs.length <= most,
      `${runner.runs.length} runs for ${bad.length} bad rows of ${rows}, ${most} at most`,
    );
  }
});

test('a bad row inside one large request fails alone', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4 });
  const asked = ask(batcher, request(range(0, 10)));
  await settleAll({ runner, batcher }, ({ values }) => (values.includes(6) ? 'failed' : undefined));
  assert.deepEqual(
    asked.settled,
    tenfold(range(0, 10)).map((value) => (value === 60 ? 'MODEL_FAILED' : value)),
  );
});

test('a request of a model that is not joined fails without another run', async () => {
  const { runner, batcher } = setUpBatcher({ join: false });
  const asked = ask(batcher, { tensors: [float32([3, 1], [1, 2, 3])], rows: 1 });
  await settleAll({ runner, batcher }, () => 'failed');
  assert.deepEqual([asked.settled, runner.runs.length], [['MODEL_FAILED'], 1]);
});

for (const fault of ['crashed', 'timed-out'] as const) {
  test(`the rows of a run that ${fault} run once more, each alone, and never a third time`, async () => {
    const { runner, batcher } = setUpBatcher();
    const asked = [[1], [2, 3], [4]].map((values) => ask(batcher, request(values)));
    await settleAll({ runner, batcher }, ({ values }) => (values.includes(2) ? fault : undefined));
    assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2, 3, 4], [1], [2], [3], [4]]);
    const code = fault === 'crashed' ? 'MODEL_FAILED' : 'DEADLINE';
    assert.deepEqual(
      asked.map(({ settled }) => settled),
      [[10], [code, 30], [40]],
    );
  });
}

test('a request alone in a run that crashed runs once more', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = ask(batcher, request([1]));
  let crashes = 0;
  await settleAll({ runner, batcher }, () => (crashes++ === 0 ? 'crashed' : undefined));
  assert.deepEqual([asked.settled, runner.runs.length], [[10], 2]);
});

test('a row that ends its process by a fault costs one process if it ran alone, and two in a batch of any size', async () => {
  for (const others of [0, 1, 63]) {
    const { runner, batcher } = setUpBatcher({ maxBatchSize: 64 });
    let lost = 0;
    const asked = range(0, others + 1).map((value) => ask(batcher, request([value])));
    await settleAll({ runner, batcher }, ({ values }) => {
      if (!values.includes(0)) return undefined;
      lost++;
      return 'faulted';
    });
    assert.equal(lost, others === 0 ? 1 : 2);
    assert.deepEqual(
      asked.map(({ settled }) => settled),
      [['MODEL_FAILED'], ...range(1, others).map((value) => [value * 10])],
    );
  }
});

test('a request alone in a run that took too long does not run again: it is the cause', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = ask(batcher, request([1]));
  await settleAll({ runner, batcher }, () => 'timed-out');
  assert.deepEqual([asked.settled, runner.runs.length], [['DEADLINE'], 1]);
});

test('a slice that would run again does not run if its request was cancelled meanwhile', async () => {
  const { runner, batcher } = setUpBatcher();
  const [leaving, staying] = [ask(batcher, request([1])), ask(batcher, request([2]))];
  await quiet();
  runner.open[0]!.fail('crashed');
  leaving.cancellation.gone = true;
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2], [2]]);
  assert.deepEqual([leaving.settled, staying.settled], ['CLIENT_GONE', [20]]);
});

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

test('an error that does not come from an engine fails the rows, not the server', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = ask(batcher, request([1]));
  await quiet();
  runner.open[0]!.fail('refused');
  await quiet();
  assert.deepEqual(asked.settled, ['MODEL_FAILED']);
});

test('rows that are in the queue, waiting for room, or to run once more are rejected when the engines keep ending', async () => {
  let error: ServingError | undefined;
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 4, maxBatchSize: 2, fault: () => error });
  const bulk = { bulk: true, whenFull: 'wait' } as const;
  const again = ask(batcher, request([1, 2]));
  await quiet();
  const queued = [ask(batcher, request([3, 4]), { gone: false }, bulk), ask(batcher, request([5]))];
  const waiting = ask(batcher, request([6, 7]), { gone: false }, bulk);
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
