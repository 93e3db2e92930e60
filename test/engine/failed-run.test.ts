import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servingErrorOf } from '../../functions/engine/failed-run.ts';
import { RunError } from '../../functions/engine/process/engine-process.ts';
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

test('a message of onnxruntime is shown without the place in its sources', () => {
  const signature = 'onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, bool)';
  const text = `Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 ${signature} input_shape_size == size was false.\n`;
  assert.equal(
    servingErrorOf(new RunError('failed', text)).message,
    'the model failed on this input: Status Message: input_shape_size == size was false.',
  );
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

test('an error that does not come from an engine fails the rows, not the server', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = ask(batcher, request([1]));
  await quiet();
  runner.open[0]!.fail('refused');
  await quiet();
  assert.deepEqual(asked.settled, ['MODEL_FAILED']);
});

test('a run that took too long is DEADLINE; any other fault is MODEL_FAILED', () => {
  const late = servingErrorOf(new RunError('timed-out', 'the run took longer than 5 ms'));
  assert.deepEqual([late.code, late.message], ['DEADLINE', 'the model did not finish: the run took longer than 5 ms']);
  for (const cause of [
    new RunError('failed', 'bad index'),
    new RunError('crashed', 'bad index'),
    new Error('bad index'),
  ]) {
    const error = servingErrorOf(cause);
    assert.deepEqual([error.code, error.cause], ['MODEL_FAILED', cause]);
    assert.match(error.message, /failed on this input: bad index/);
  }
});
