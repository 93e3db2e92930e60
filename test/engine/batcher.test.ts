import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../functions/engine/batch-rows.ts';
import type { Tensor } from '../../functions/tensor/tensor.ts';
import { ask, quiet, range, request, settleAll, setUpBatcher, tenfold, valuesOfRuns } from '../helpers/runner.ts';
import { float32 } from '../helpers/tensors.ts';

test('rows that wait when an engine becomes free share its run, and each request gets its own', async () => {
  const { runner, batcher } = setUpBatcher();
  const first = ask(batcher, request([1]));
  await quiet();
  const rest = [ask(batcher, request([2])), ask(batcher, request([3, 4])), ask(batcher, request([5]))];
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [[1]]);
  assert.equal(batcher.depth(), 4);
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(first.settled, [10]);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [2, 3, 4, 5]]);
  assert.deepEqual(runner.runs[1]!.inputs[0]!.dims, [4, 1]);
  assert.equal(batcher.depth(), 0);
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(
    rest.map(({ settled }) => settled),
    [[20], [30, 40], [50]],
  );
});

test('requests that arrive in one turn of the event loop share the first run', async () => {
  const { runner, batcher } = setUpBatcher();
  for (const value of [1, 2, 3]) ask(batcher, request([value]));
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [[1, 2, 3]]);
});

test('several free engines run at the same time', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 2 }, 3);
  for (const value of range(1, 8)) ask(batcher, request([value]));
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
});

test('a run has at most the allowed rows, in the order of arrival', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4 });
  for (const value of [1, 4, 7, 10]) ask(batcher, request(range(value, 3)));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 4), range(5, 4), range(9, 4)]);
});

test('a large request is split over runs at the same time, and its outcomes are in order', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4 }, 3);
  const asked = ask(batcher, request(range(1, 10)));
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [range(1, 4), range(5, 4), range(9, 2)]);
  for (const run of runner.open.toReversed()) {
    assert.equal(asked.settled, undefined);
    run.finish();
    await quiet();
  }
  assert.deepEqual(asked.settled, tenfold(range(1, 10)));
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
  const answers = [large, ...new Array<Feeds>(64).fill(image)].map((feeds) => batcher.predict(feeds, { gone: false }));
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
  leaving.cancellation.gone = true;
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [3, 4]]);
  assert.equal(leaving.settled, 'CLIENT_GONE');
  partly.cancellation.gone = true;
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [3, 4], [7]]);
  assert.deepEqual([partly.settled, staying.settled, batcher.depth()], ['CLIENT_GONE', [70], 0]);
});

test('a request is refused before it is queued if the queue is full, with a time to try again', async () => {
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 3 });
  ask(batcher, request([1]));
  await quiet();
  const waiting = [ask(batcher, request([2, 3])), ask(batcher, request([4]))];
  await assert.rejects(batcher.predict(request([5]), { gone: false }), {
    code: 'OVERLOADED',
    retryAfter: 1,
    message: 'the queue is full: 3 rows wait, 3 at most',
  });
  assert.equal(batcher.depth(), 3);
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [2, 3, 4]]);
  assert.deepEqual(
    waiting.map(({ settled }) => settled),
    [[20, 30], [40]],
  );
});

test('an empty queue accepts a request larger than itself', async () => {
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 3 });
  const asked = ask(batcher, request(range(1, 20)));
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(asked.settled, tenfold(range(1, 20)));
});

test('cancelled requests make room in a full queue', async () => {
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 2 });
  ask(batcher, request([1]));
  await quiet();
  const left = [ask(batcher, request([2])), ask(batcher, request([3]))];
  for (const { cancellation } of left) cancellation.gone = true;
  const asked = ask(batcher, request([4]));
  await quiet();
  assert.deepEqual(
    left.map(({ settled }) => settled),
    ['CLIENT_GONE', 'CLIENT_GONE'],
  );
  assert.equal(batcher.depth(), 1);
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(asked.settled, [40]);
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [4]]);
});

test('bulk work that waits enters as soon as rows are taken by a run, not only when the next engine is free', async () => {
  const { batcher } = setUpBatcher({ maxBatchSize: 1, maxQueueSize: 4 });
  const bulk = { bulk: true, whenFull: 'wait' } as const;
  for (const value of range(1, 6)) ask(batcher, request([value]), { gone: false }, bulk);
  assert.equal(batcher.depth(), 2);
  await quiet();
  assert.equal(batcher.depth(), 2);
});

test('a stream that always has a chunk waiting does not starve a long request', async () => {
  const { runner, batcher } = setUpBatcher({ maxBatchSize: 4, maxQueueSize: 8 });
  const stream = { gone: false };
  const chunk = () => ask(batcher, request(range(0, 4)), stream, { bulk: true, whenFull: 'wait' });
  const chunks = range(0, 4).map(chunk);
  await quiet();
  const long = ask(batcher, request([50, 51]), { gone: false }, { bulk: true, whenFull: 'refuse' });
  for (let runs = 0; runs < 4 && long.settled === undefined; runs++) {
    runner.open[0]!.finish();
    chunks.push(chunk());
    await quiet();
  }
  assert.deepEqual(long.settled, [500, 510]);
});

for (const where of ['in the queue', 'waiting for room', 'to run once more'] as const) {
  test(`a cancelled request is rejected within a second if its rows are ${where}, though no engine becomes free; then no timer is left`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { runner, batcher } = setUpBatcher({ maxQueueSize: 2, maxBatchSize: 1 });
    const sets = t.mock.method(globalThis, 'setTimeout');
    const bulk = { bulk: true, whenFull: 'wait' } as const;
    const asked: ReturnType<typeof ask>[] = [ask(batcher, request([1]))];
    await quiet();
    assert.equal(sets.mock.callCount(), 0, 'its row went to an engine at once');
    if (where === 'to run once more') runner.open[0]!.fail('crashed');
    else asked.push(ask(batcher, request([2]), { gone: false }, bulk));
    if (where === 'waiting for room') asked.push(ask(batcher, request([3]), { gone: false }, bulk));
    await quiet();
    const leaving = asked.at(-1)!;
    t.mock.timers.tick(900);
    leaving.cancellation.gone = true;
    await quiet();
    assert.equal(leaving.settled, undefined);
    t.mock.timers.tick(100);
    await quiet();
    assert.equal(leaving.settled, 'CLIENT_GONE');
    const timers = where === 'waiting for room' ? 2 : 1;
    assert.equal(sets.mock.callCount(), timers, 'one timer for all requests, as long as rows are queued');
    if (where !== 'waiting for room') assert.equal(batcher.depth(), 0);
    await settleAll({ runner, batcher }, () => undefined);
    t.mock.timers.tick(10_000);
    assert.equal(sets.mock.callCount(), timers);
  });
}

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

test('the rows and seconds of runs, and the seconds of waiting, are reported as they happen', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const reported: [string, ...number[]][] = [];
  const { runner, batcher } = setUpBatcher({
    onRun: (rows, seconds) => reported.push(['run', rows, seconds]),
    onWait: (seconds) => reported.push(['wait', seconds]),
  });
  for (const values of [[1], [2, 3]]) ask(batcher, request(values));
  now = 500;
  await quiet();
  now = 2500;
  runner.open[0]!.finish();
  await quiet();
  assert.deepEqual(reported, [
    ['wait', 0.5],
    ['wait', 0.5],
    ['run', 3, 2],
  ]);
});

test('bulk work is refused, or waits, if half of the queue is full; a short request still enters', async () => {
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 4, maxBatchSize: 2 });
  ask(batcher, request([1]));
  await quiet();
  const bulk = (value: number, whenFull: 'refuse' | 'wait') =>
    ask(batcher, request([value]), { gone: false }, { bulk: true, whenFull });
  const queued = ask(batcher, request([2, 3]));
  await assert.rejects(batcher.predict(request([4]), { gone: false }, { bulk: true }), {
    message: 'the queue is full: 2 rows wait, 4 at most, half of them for long requests',
    retryAfter: 1,
  });
  const [refused, waits] = [bulk(4, 'refuse'), bulk(5, 'wait')];
  const single = ask(batcher, request([6]));
  await quiet();
  assert.deepEqual([refused.settled, batcher.depth()], ['OVERLOADED', 3]);
  await settleAll({ runner, batcher }, () => undefined);
  assert.deepEqual(
    [queued, waits, single].map(({ settled }) => settled),
    [[20, 30], [50], [60]],
  );
  assert.deepEqual(valuesOfRuns(runner.runs), [[1], [2, 3], [6, 5]]);
});
