import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Feeds } from '../../../functions/engine/batch-rows.ts';
import type { Outcome } from '../../../functions/engine/batcher.ts';
import { ServingError } from '../../../functions/errors.ts';
import type { InstanceGroup, Instances } from '../../../functions/routes/instances/instances.ts';
import { runInstances, type WriteInstance } from '../../../functions/routes/instances/run-instances.ts';
import type { ModelRecorder } from '../../../functions/telemetry/metrics/metrics.ts';
import { quiet } from '../../helpers/runner.ts';

const HERE = { cancelled: false };
const write: WriteInstance = (outputs, row) => String(outputs[0]!.data[row]);

function group(values: number[], places?: number[]): InstanceGroup {
  const tensor = { dtype: 'float32' as const, dims: [values.length], data: Float32Array.from(values) };
  return { feeds: { tensors: [tensor], rows: values.length }, isRow: true, places };
}
const instancesOf = (...groups: InstanceGroup[]): Instances => ({
  count: groups.reduce((sum, { feeds }) => sum + feeds.rows, 0),
  groups,
});
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Gives each row back, one stretch a request; `fail` says which rows fail, and how. */
function echo(fail: (value: number) => ServingError | undefined = () => undefined) {
  return async ({ tensors, rows }: Feeds): Promise<Outcome[]> => {
    const values = [...(tensors[0]!.data as Float32Array)];
    const outputs = [{ dtype: 'float32' as const, dims: [rows], data: Float32Array.from(values) }];
    if (!values.some((value) => fail(value))) return [{ rows, outputs, first: 0 }];
    return values.map((value, first) => {
      const error = fail(value);
      return error === undefined ? { rows: 1, outputs, first } : { rows: 1, error };
    });
  };
}

function record() {
  const counted = { ok: 0, failed: 0 };
  const recorder = {
    rows(ok: number, failed: number) {
      counted.ok += ok;
      counted.failed += failed;
    },
  } as unknown as ModelRecorder;
  return { counted, recorder };
}

test('predictions are as many as instances, in their order, whatever they were run with', async () => {
  const { counted, recorder } = record();
  const mixed = instancesOf(group([0, 20, 40], [0, 2, 4]), group([10, 30], [1, 3]));
  assert.deepEqual(await runInstances(mixed, { predict: echo() }, HERE, recorder, write), [
    '0',
    '10',
    '20',
    '30',
    '40',
  ]);
  assert.deepEqual(counted, { ok: 5, failed: 0 });
});

test('many are run in chunks, and come back in order, whichever is done first', async () => {
  const ends: (() => void)[] = [];
  const predict = async (feeds: Feeds): Promise<Outcome[]> => {
    assert.ok(feeds.rows <= 256);
    await new Promise<void>((resolve) => ends.push(resolve));
    return echo()(feeds);
  };
  const running = runInstances(instancesOf(group(upTo(3000))), { predict }, HERE, record().recorder, write);
  for (await quiet(); ends.length > 0; await quiet()) ends.pop()!();
  assert.deepEqual(await running, upTo(3000).map(String));
});

test('one that fails fails the request, by its place and with its own code', async () => {
  const { counted, recorder } = record();
  const bad = new ServingError('MODEL_FAILED', 'the model failed on this input');
  const predict = echo((value) => (value === 7 ? bad : undefined));
  const instances = instancesOf(group([5, 6], [0, 2]), group([1, 7, 2], [1, 3, 4]));
  await assert.rejects(runInstances(instances, { predict }, HERE, recorder, write), {
    code: 'MODEL_FAILED',
    path: 'instances[3]',
    message: 'instances[3]: the model failed on this input',
  });
  assert.deepEqual([counted.ok, counted.failed], [0, 5]);
});

test('after one has failed no more are run', async () => {
  let runs = 0;
  const fail = echo(() => new ServingError('MODEL_FAILED', 'no'));
  const predict = (feeds: Feeds) => {
    runs++;
    return fail(feeds);
  };
  await assert.rejects(runInstances(instancesOf(group(upTo(10_000))), { predict }, HERE, record().recorder, write), {
    path: /^instances\[\d+\]$/,
  });
  assert.ok(runs <= 4, String(runs));
});

test('while many predictions are written, others get their turn', async () => {
  const written: number[] = [];
  let turns = 0;
  let done = false;
  const countTurns = (): void => {
    turns++;
    if (!done) setImmediate(countTurns);
  };
  setImmediate(countTurns);
  const long = 'x'.repeat(2 ** 17);
  await runInstances(instancesOf(group(upTo(256))), { predict: echo() }, HERE, record().recorder, () => {
    written.push(turns);
    return long;
  });
  done = true;
  assert.ok(new Set(written).size >= 128, `written within ${new Set(written).size} turns`);
});

test('a queue that is full at the start refuses the request', async () => {
  const { counted, recorder } = record();
  const predict = () => Promise.reject(new ServingError('OVERLOADED', 'full', { retryAfter: 1 }));
  const running = runInstances(instancesOf(group(upTo(1000))), { predict }, HERE, recorder, write);
  await assert.rejects(running, { code: 'OVERLOADED', retryAfter: 1 });
  assert.deepEqual(counted, { ok: 0, failed: 0 });
});

test('predictions that are longer than one answer can be are refused before they are put together', async () => {
  const long = 'x'.repeat(2 ** 22);
  const running = runInstances(instancesOf(group(upTo(100))), { predict: echo() }, HERE, record().recorder, () => long);
  await assert.rejects(running, { code: 'TOO_LARGE', message: /send fewer instances/ });
});
