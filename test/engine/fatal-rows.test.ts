import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFatalRows } from '../../functions/engine/fatal-rows.ts';
import { RunError } from '../../functions/engine/process/engine-process.ts';
import { ask, range, request, settleAll, setUpBatcher, valuesOfRuns } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

const crash = new RunError('crashed', 'the engine process ended: killed by SIGSEGV', { ofItself: true });
const killed = new RunError('crashed', 'the engine process ended: killed by SIGKILL');
const late = new RunError('timed-out', 'the run took longer than 5 ms');
const row = (values: readonly number[], first: number) => ({ feeds: request(values), first, rows: 1 });

test('a row that ended its process by a fault is refused with the reason, from whatever request it comes; other rows are not', () => {
  const rows = createFatalRows();
  assert.ok(rows.isEmpty());
  rows.record(row([1, 2, 3], 1), crash);
  assert.equal(rows.isEmpty(), false);
  const refusal = rows.find(row([2], 0))!;
  assert.equal(refusal.code, 'MODEL_FAILED');
  assert.match(refusal.message, /killed by SIGSEGV; the same row is not run again within 5 minutes/);
  assert.equal(rows.find(row([1, 2, 3], 0)), undefined);
  assert.equal(rows.find({ feeds: request([2], 3), first: 0, rows: 1 }), undefined, 'another shape');
});

test('strings are told apart at their borders, and numbers by their dtype', () => {
  const rows = createFatalRows();
  const texts = (data: string[]) => ({
    feeds: { tensors: [{ dtype: 'string' as const, dims: [1, data.length], data }], rows: 1 },
    first: 0,
    rows: 1,
  });
  rows.record(texts(['ab', 'c']), crash);
  assert.notEqual(rows.find(texts(['ab', 'c'])), undefined);
  assert.equal(rows.find(texts(['a', 'bc'])), undefined);
  const bits = Int32Array.from(new Int32Array(Float32Array.of(2).buffer));
  rows.record(row([2], 0), crash);
  const same = { feeds: { tensors: [{ ...float32([1, 1], [2]), dtype: 'int32' as const, data: bits }], rows: 1 } };
  assert.equal(rows.find({ ...same, first: 0, rows: 1 }), undefined);
});

test('a row that was killed from outside, or took too long, is refused after the second time, with the code of its failure', () => {
  for (const [error, code] of [
    [killed, 'MODEL_FAILED'],
    [late, 'DEADLINE'],
  ] as const) {
    const rows = createFatalRows();
    rows.record(row([1], 0), error);
    assert.equal(rows.find(row([1], 0)), undefined);
    assert.ok(rows.isEmpty(), 'no row has to be compared with it');
    rows.record(row([1], 0), error);
    assert.equal(rows.isEmpty(), false);
    assert.equal(rows.find(row([1], 0))?.code, code);
  }
});

test('a row that fails without an end of its process is not recorded', () => {
  const rows = createFatalRows();
  rows.record(row([1], 0), new RunError('failed', 'bad index'));
  rows.record(row([1], 0), new Error('refused'));
  assert.ok(rows.isEmpty());
});

test('a row is refused for five minutes, and at most 256 rows are', () => {
  let now = 0;
  const rows = createFatalRows(() => now);
  rows.record(row([1], 0), crash);
  now = 299_999;
  assert.notEqual(rows.find(row([1], 0)), undefined);
  now = 300_000;
  assert.equal(rows.find(row([1], 0)), undefined);
  assert.ok(rows.isEmpty());
  for (const value of range(0, 257)) rows.record(row([value], 0), crash);
  assert.equal(rows.find(row([0], 0)), undefined);
  assert.notEqual(rows.find(row([1], 0)), undefined);
});

test('a row that has ended its process costs no further process, alone or beside other rows, which get their results', async () => {
  const { runner, batcher } = setUpBatcher();
  let lost = 0;
  const fate = ({ values }: { values: readonly number[] }) => {
    if (!values.includes(2)) return undefined;
    lost++;
    return 'faulted' as const;
  };
  const first = ask(batcher, request([2]));
  await settleAll({ runner, batcher }, fate);
  assert.deepEqual([first.settled, lost], [['MODEL_FAILED'], 1]);
  const again = [ask(batcher, request([2])), ask(batcher, request([1, 2, 3])), ask(batcher, request([4]))];
  await settleAll({ runner, batcher }, fate);
  assert.deepEqual(
    again.map(({ settled }) => settled),
    [['MODEL_FAILED'], [10, 'MODEL_FAILED', 30], [40]],
  );
  assert.deepEqual([lost, valuesOfRuns(runner.runs)], [1, [[2], [1, 3, 4]]]);
});

test('two requests with one such row in one run cost two processes, not three', async () => {
  const { runner, batcher } = setUpBatcher();
  const asked = [ask(batcher, request([2])), ask(batcher, request([2])), ask(batcher, request([1]))];
  let lost = 0;
  await settleAll({ runner, batcher }, ({ values }) => {
    if (!values.includes(2)) return undefined;
    lost++;
    return 'faulted';
  });
  assert.deepEqual(
    asked.map(({ settled }) => settled),
    [['MODEL_FAILED'], ['MODEL_FAILED'], [10]],
  );
  assert.equal(lost, 2);
});

test('a request of a model whose rows are not joined is refused as a whole', async () => {
  const { runner, batcher } = setUpBatcher({ join: false });
  const feeds = { tensors: [float32([3, 1], [1, 2, 3])], rows: 1 };
  for (const _ of range(0, 2)) {
    const asked = ask(batcher, feeds);
    await settleAll({ runner, batcher }, () => 'faulted');
    assert.deepEqual(asked.settled, ['MODEL_FAILED']);
  }
  assert.equal(runner.runs.length, 1);
});
