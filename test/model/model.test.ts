import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { ServingError } from '../../functions/errors.ts';
import { createModel, type Model } from '../../functions/model/model.ts';
import type { ModelFiles } from '../../functions/model/source.ts';
import { createFileSource } from '../../functions/model/sources/file.ts';
import { descendants } from '../helpers/descendants.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { type RecordingTelemetry, recordTelemetry } from '../helpers/telemetry.ts';

const folder = mkdtempSync(join(tmpdir(), 'model-'));
after(() => rmSync(folder, { recursive: true }));

const ENGINE = {
  capacity: { cpus: 1, memoryBytes: undefined },
  processes: 1,
  intraOpThreads: 1,
  executionProviders: ['cpu'],
  maxBatchSize: 8,
  batchDelayMs: 0,
  maxQueueSize: 100,
  runTimeoutMs: 10_000,
};

interface Rig extends Model, RecordingTelemetry {
  /** Fetches so far. */
  fetches(): number;
  /** Lets the fetch under way come to its end: with the model's files, or with an error. */
  arrive(error?: Error): Promise<void>;
}

/** A model whose files come when the test says so. */
function setUp(t: TestContext): Rig {
  const telemetry = recordTelemetry();
  const files = createFileSource(writeModel(folder, 'echo', identity(), { version: '5' }), undefined);
  let fetches = 0;
  let waiting = Promise.withResolvers<ModelFiles>();
  const source = {
    fetch() {
      fetches++;
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
  };
  const model = createModel('label', source, ENGINE, telemetry);
  t.after(() => model.close());
  return {
    ...model,
    ...telemetry,
    fetches: () => fetches,
    async arrive(error) {
      if (error === undefined) waiting.resolve(await files.fetch());
      else waiting.reject(error);
      await model.whenLive().catch(() => {});
    },
  };
}

const told = (model: Model) => {
  const { name, version, state, phase, reason } = model.status();
  return { name, version, state, phase, reason };
};
const NOTHING = { name: 'label', version: undefined, phase: undefined, reason: undefined };

test('a model is idle until it is asked for, then loads once for all who ask', async (t) => {
  const model = setUp(t);
  assert.deepEqual(told(model), { ...NOTHING, state: 'idle' });
  assert.equal(model.live(), undefined);
  model.load();
  model.load();
  const waiting = [model.whenLive(), model.whenLive()];
  assert.deepEqual(told(model), { ...NOTHING, state: 'loading', phase: 'fetching' });
  assert.equal(model.fetches(), 1);

  await model.arrive();
  const [one, other] = await Promise.all(waiting);
  assert.equal(one, other);
  assert.equal(await model.whenLive(), one);
  assert.equal(model.live(), one);
  assert.deepEqual(told(model), { name: 'echo', version: '5', state: 'ready', phase: undefined, reason: undefined });
  const { bytes, seconds } = model.status();
  assert.equal(bytes, identity().length);
  assert.ok(seconds > 0 && seconds < 30);
  assert.equal(model.status().seconds, seconds, 'the time of a load that is done stands');
  model.load();
  assert.equal(model.fetches(), 1);
  assert.deepEqual(model.lines.at(-1)!.message, 'model ready: rows of different requests share a run');
});

test('every phase of a load is measured', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const { text } = await model.metrics.render();
  t.after(() => model.metrics.close());
  for (const phase of ['fetching', 'loading', 'checking', 'warming'])
    assert.match(text, new RegExp(`phase="${phase}"`), phase);
});

test('a load that failed tells its reason, and is tried again only once its back-off is over', async (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const model = setUp(t);
  const waiting = model.whenLive();
  await model.arrive(new ServingError('MODEL_FAILED', 'no such file: a.onnx'));
  await assert.rejects(waiting, {
    code: 'NOT_READY',
    message: 'the model is not ready: no such file: a.onnx',
    retryAfter: 1,
  });
  assert.deepEqual(told(model), { ...NOTHING, state: 'failed', reason: 'no such file: a.onnx' });
  assert.equal(model.lines.at(-1)!.message, 'the model did not load: no such file: a.onnx');

  now += 999;
  model.load();
  await assert.rejects(model.whenLive(), { code: 'NOT_READY', message: /no such file/ });
  assert.equal(model.fetches(), 1);

  now += 1;
  model.load();
  assert.equal(model.fetches(), 2);
  assert.deepEqual([model.status().state, model.status().phase], ['loading', 'fetching']);
  await model.arrive(new Error('disk on fire'));
  assert.equal(model.status().reason, 'Error: disk on fire');
  now += 1999;
  model.load();
  assert.equal(model.fetches(), 2, 'the second back-off is twice as long');
  now += 1;
  model.load();
  assert.equal(model.fetches(), 3);

  await model.arrive();
  assert.deepEqual([model.status().state, model.status().reason], ['ready', undefined]);
});

test('a back-off is never longer than a minute', async (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const model = setUp(t);
  for (let i = 1; i <= 12; i++) {
    model.load();
    assert.equal(model.fetches(), i);
    await model.arrive(new Error('no'));
    now += 60_000;
  }
  model.load();
  await model.arrive(new Error('no'));
  await assert.rejects(model.whenLive(), { retryAfter: 60 });
});

test('closing during a load ends it: who waits hears of it, and no engine is left', async (t) => {
  const model = setUp(t);
  const waiting = assert.rejects(model.whenLive(), { code: 'NOT_READY', message: /shutting down/ });
  const closed = model.close();
  await model.arrive();
  await Promise.all([closed, waiting]);
  assert.equal(model.live(), undefined);
  assert.deepEqual(descendants(process.pid), []);
  model.load();
  assert.equal(model.fetches(), 1);
  assert.equal(model.lines.filter(({ level }) => level === 'error').length, 0, 'a shutdown is no failure');
});

test('a model whose engines crash in a loop is degraded, with the reason', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  t.mock.method(model.live()!, 'fault', () => 'killed by SIGSEGV');
  assert.deepEqual([model.status().state, model.status().reason], ['degraded', 'killed by SIGSEGV']);
});
