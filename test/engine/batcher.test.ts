import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, quiet, range, request, settleAll, setUpBatcher, tenfold, valuesOfRuns } from '../helpers/runner.ts';

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

test('a request is refused before it is queued if the queue is full, with a time to try again', async () => {
  const { runner, batcher } = setUpBatcher({ maxQueueSize: 3 });
  ask(batcher, request([1]));
  await quiet();
  const waiting = [ask(batcher, request([2, 3])), ask(batcher, request([4]))];
  await assert.rejects(batcher.predict(request([5]), { cancelled: false }), {
    code: 'OVERLOADED',
    retryAfter: 1,
    message: 'the queue is full: 3 rows wait, 3 at most; try again in 1 s',
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
  for (const { cancellation } of left) cancellation.cancelled = true;
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

for (const where of ['in the queue', 'behind others', 'to run once more'] as const) {
  test(`a cancelled request is rejected within a second if its rows are ${where}, though no engine becomes free; then no timer is left`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { runner, batcher } = setUpBatcher({ maxQueueSize: 2, maxBatchSize: 1 });
    const sets = t.mock.method(globalThis, 'setTimeout');
    const bulk = { bulk: true, begun: true } as const;
    const asked: ReturnType<typeof ask>[] = [ask(batcher, request([1]))];
    await quiet();
    assert.equal(sets.mock.callCount(), 0, 'its row went to an engine at once');
    if (where === 'to run once more') runner.open[0]!.fail('crashed');
    else asked.push(ask(batcher, request([2]), { cancelled: false }, bulk));
    if (where === 'behind others') asked.push(ask(batcher, request([3]), { cancelled: false }, bulk));
    await quiet();
    const leaving = asked.at(-1)!;
    t.mock.timers.tick(900);
    leaving.cancellation.cancelled = true;
    await quiet();
    assert.equal(leaving.settled, undefined);
    t.mock.timers.tick(100);
    await quiet();
    assert.equal(leaving.settled, 'CLIENT_GONE');
    const timers = where === 'behind others' ? 2 : 1;
    assert.equal(sets.mock.callCount(), timers, 'one timer for all requests, as long as rows are queued');
    if (where !== 'behind others') assert.equal(batcher.depth(), 0);
    await settleAll({ runner, batcher }, () => undefined);
    t.mock.timers.tick(10_000);
    assert.equal(sets.mock.callCount(), timers);
  });
}

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
