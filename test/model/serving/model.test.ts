import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import type { Layout } from '../../../functions/model/folder/layout.ts';
import { MemoryBudget } from '../../../functions/model/memory-budget.ts';
import { createModel, type Model } from '../../../functions/model/serving/model.ts';
import { descendants } from '../../helpers/descendants.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { localStore, pickMain } from '../../helpers/local-models.ts';
import { addConstant, externalWeights, identity, writeModel } from '../../helpers/models.ts';
import { type RecordingTelemetry, recordTelemetry } from '../../helpers/telemetry.ts';
import { until } from '../../helpers/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'model-'));
after(() => rmSync(folder, { recursive: true }));

const MIB = 2 ** 20;

interface Rig extends Model, RecordingTelemetry {
  readonly uri: string;
  /** Listings so far. */
  listings(): number;
  /** Lets the listing under way come to its end: with what is there, or with an error. Settles with the load. */
  arrive(error?: Error): Promise<void>;
  /** Lets the next listing wait for `arrive` again. */
  shut(): void;
  /** What is there now. */
  layout(): Promise<Layout>;
}

/** A model whose first listing of each load comes when the test says so. */
function setUp(t: TestContext, limit?: number): Rig {
  const telemetry = recordTelemetry();
  const uri = writeModel(folder, `${t.name.replaceAll(/\W+/g, '-').slice(0, 40)}/echo`, identity(), { version: '5' });
  const store = localStore(uri);
  let listings = 0;
  let open = false;
  let waiting = Promise.withResolvers<Layout>();
  const gated = {
    ...store,
    list(background: boolean) {
      if (open) return store.list(background);
      listings++;
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
  };
  const model = createModel('label', {
    store: gated,
    budget: new MemoryBudget(limit),
    engine: engineOptions(),
    telemetry,
    modelCount: () => 1,
    keepsSpareMemory: () => false,
    pick: (layout) => pickMain(layout),
    onListed: () => {},
    inLoadTurn: (work) => work(),
    settleMs: 1,
  });
  t.after(() => model.close());
  const rig: Rig = Object.assign(model, telemetry, {
    uri,
    listings: () => listings,
    layout: () => store.list(false),
    async arrive(error?: Error) {
      open = error === undefined;
      if (error === undefined) waiting.resolve(await rig.layout());
      else waiting.reject(error);
      await model.whenLive().catch(() => {});
      open = model.live() !== undefined;
    },
    shut() {
      open = false;
    },
  });
  return rig;
}

const statusOf = (model: Model) => {
  const { name, version, state, phase, reason } = model.status();
  return { name, version, state, phase, reason };
};
const NOTHING = { name: 'label', version: undefined, phase: undefined, reason: undefined };

test('a model is idle until it is requested, then loads once for all requests', async (t) => {
  const model = setUp(t);
  assert.deepEqual(statusOf(model), { ...NOTHING, state: 'idle' });
  assert.equal(model.live(), undefined);
  model.load();
  model.load();
  const waiting = Array.from({ length: 64 }, () => model.whenLive());
  assert.deepEqual(statusOf(model), { ...NOTHING, state: 'loading', phase: 'listing' });
  assert.equal(model.listings(), 1);

  await model.arrive();
  const [one, ...others] = await Promise.all(waiting);
  assert.ok(others.every((other) => other === one));
  assert.equal(await model.whenLive(), one);
  assert.equal(model.live(), one);
  assert.deepEqual(statusOf(model), {
    name: 'echo',
    version: '5',
    state: 'ready',
    phase: undefined,
    reason: undefined,
  });
  const { bytes, seconds } = model.status();
  assert.equal(bytes, identity().length);
  assert.ok(seconds > 0 && seconds < 30);
  assert.equal(model.status().seconds, seconds, 'the time of a load that is done stands');
  model.load();
  assert.equal(model.listings(), 1);
  assert.deepEqual(model.lines.at(-1)!.message, 'model ready');
});

test('every phase of a load is measured', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const { text } = await model.metrics.render();
  t.after(() => model.metrics.close());
  for (const phase of ['listing', 'fetching', 'loading', 'checking', 'warming'])
    assert.match(text, new RegExp(`phase="${phase}"`), phase);
});

test('callers learn that a load failed and the log why; it is tried again only after its back-off', async (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const model = setUp(t);
  const waiting = model.whenLive();
  await model.arrive(new ServingError('MODEL_FAILED', 'no such file: a.onnx'));
  const reason = "it failed when its files were listed: the server's log says why";
  await assert.rejects(waiting, {
    code: 'NOT_READY',
    message: `the model is not ready: ${reason}`,
    detail: 'no such file: a.onnx',
    retryAfter: 1,
  });
  assert.deepEqual(statusOf(model), { ...NOTHING, state: 'failed', reason });
  assert.equal(model.lines.at(-1)!.message, 'the model did not load: no such file: a.onnx');

  now += 999;
  model.load();
  await assert.rejects(model.whenLive(), { code: 'NOT_READY', detail: /no such file/ });
  assert.equal(model.listings(), 1);

  now += 1;
  model.load();
  assert.equal(model.listings(), 2);
  assert.deepEqual([model.status().state, model.status().phase], ['loading', 'listing']);
  await model.arrive(new Error('disk on fire'));
  assert.equal(model.lines.at(-1)!.message, 'the model did not load: Error: disk on fire');
  now += 1999;
  model.load();
  assert.equal(model.listings(), 2, 'the second back-off is twice as long');
  now += 1;
  model.load();
  assert.equal(model.listings(), 3);
  await model.arrive();
  assert.deepEqual([model.status().state, model.status().reason], ['ready', undefined]);
});

test('a back-off is never longer than a minute', async (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const model = setUp(t);
  for (let i = 1; i <= 12; i++) {
    model.load();
    assert.equal(model.listings(), i);
    await model.arrive(new Error('no'));
    now += 60_000;
  }
  model.load();
  await model.arrive(new Error('no'));
  await assert.rejects(model.whenLive(), { retryAfter: 60 });
});

test('closing during a load ends it: waiting requests get a response, and no engine is left', async (t) => {
  const model = setUp(t);
  const waiting = assert.rejects(model.whenLive(), { code: 'NOT_READY', message: /shutting down/ });
  const closed = model.close();
  await model.arrive();
  await Promise.all([closed, waiting]);
  assert.equal(model.live(), undefined);
  assert.deepEqual(descendants(process.pid), []);
  model.load();
  assert.equal(model.lines.filter(({ level }) => level === 'error').length, 0, 'a shutdown is no failure');
});

test('a model whose engines crash in a loop is degraded, and the reason is not for callers', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  t.mock.method(model.live()!, 'fault', () => 'killed by SIGSEGV');
  const reason = "its engine processes keep ending, and are replaced: the server's log says why";
  assert.deepEqual([model.status().state, model.status().reason], ['degraded', reason]);
});

test('a refresh that finds nothing new does nothing', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const before = model.live();
  await model.refresh(await model.layout());
  assert.equal(model.live(), before);
});

test('a new upload is prepared beside the live one and swapped in; the old engines end once no request uses them', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const old = model.live()!;
  old.hold();
  writeModel(model.uri, '.', addConstant(1), { version: '6' });
  // Whoever holds the old one holds up nobody else's refresh.
  await model.refresh(await model.layout());
  const next = model.live()!;
  assert.equal(next.version, '6');
  assert.equal(model.status().state, 'ready');
  assert.equal(descendants(process.pid).length, 2, 'who holds the old one still has it');

  writeModel(model.uri, '.', addConstant(2), { version: '7' });
  await model.refresh(await model.layout());
  assert.equal(model.live(), next, 'there are no three at once');
  assert.ok(model.refreshing());
  const patient = model.refresh(await model.layout(), true);
  old.release();
  await patient;
  assert.equal(model.live()!.version, '7');
  await until(() => !model.refreshing(), 'the end of the one before');
  assert.equal(descendants(process.pid).length, 1);
});

test('a new version that fails changes nothing, is reported with the reason, and is tried again when it changes', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const old = model.live()!;
  writeModel(
    model.uri,
    '.',
    addConstant(1),
    { version: '6' },
    { rows: [{ features: [1, 1], outputs: { y: [9, 9] } }] },
  );
  await model.refresh(await model.layout());
  assert.equal(model.live(), old);
  assert.deepEqual([model.status().state, model.status().phase], ['ready', undefined]);
  assert.equal(
    model.status().refused,
    "it failed while it was checked against its own files: the server's log says why",
  );
  const failures = () => model.lines.filter(({ message }) => message.startsWith('the new version failed to load'));
  assert.equal(failures().length, 1);
  assert.match(failures()[0]!.message, /golden\.json: rows\[0\]\.outputs\.y: element 0 came out as 2, expected 9/);

  await model.refresh(await model.layout());
  assert.equal(failures().length, 1, 'the same one again is not tried before its back-off is over');

  writeModel(
    model.uri,
    '.',
    addConstant(1),
    { version: '7' },
    { rows: [{ features: [1, 1], outputs: { y: [2, 2] } }] },
  );
  await model.refresh(await model.layout());
  assert.deepEqual([model.live()!.version, model.status().refused], ['7', undefined]);
});

test('a model that has been removed keeps serving, and that is logged once', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  rmSync(join(model.uri, 'model.onnx'));
  for (let i = 0; i < 3; i++) await model.refresh(await model.layout());
  assert.equal(model.status().state, 'ready');
  assert.equal(model.lines.filter(({ level }) => level === 'error').length, 1);
});

test('a new version for which there is no memory beside the old one is refused', async (t) => {
  const model = setUp(t, 100 * MIB);
  model.load();
  await model.arrive();
  const old = model.live();
  writeModel(model.uri, '.', addConstant(1), { version: '6' });
  await model.refresh(await model.layout());
  assert.equal(model.live(), old);
  assert.equal(model.status().refused, "it failed when its files were listed: the server's log says why");
  assert.match(model.lines.at(-1)!.message, /no room for a new version of echo/);
});

test('a model that is unloaded loads again when it is requested', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  await model.unload();
  assert.deepEqual([model.status().state, model.live()], ['idle', undefined]);
  assert.deepEqual(descendants(process.pid), []);
  assert.equal((await model.whenLive()).version, '5');
});

test('a local model that changes while it is read is read again', async (t) => {
  const model = setUp(t);
  const loaded = model.whenLive();
  // What was listed is no longer what is there when it is read.
  const before = await model.layout();
  writeFileSync(join(model.uri, 'model.json'), '{"version":"6"}');
  t.mock.method(model, 'layout', async () => before);
  await model.arrive();
  assert.equal((await loaded).version, '6');
});

test('a local file that was overwritten is loaded as a new version by the next probe, if no engine is left', async (t) => {
  const model = setUp(t);
  model.load();
  await model.arrive();
  const old = model.live()!;
  writeModel(model.uri, '.', addConstant(1), { version: '6' });
  process.kill(old.engines()[0]!.pid!, 'SIGKILL');
  await until(() => old.fault()?.includes('the file has changed since it was listed'), 'the replacement to be refused');
  assert.equal(model.status().state, 'degraded');
  model.load();
  assert.equal((await model.whenLive()).version, '6');
  assert.equal(model.status().state, 'ready');
});

test('an engine that replaces a lost one refuses weights that differ from those of the others', async (t) => {
  const model = setUp(t);
  const weights = externalWeights('layer');
  writeModel(model.uri, '.', weights.model);
  writeFileSync(join(model.uri, 'layer'), weights.data);
  model.load();
  await model.arrive();
  const live = model.live()!;
  writeFileSync(join(model.uri, 'layer'), Float32Array.of(77, 77));
  process.kill(live.engines()[0]!.pid!, 'SIGKILL');
  await until(
    () => live.fault()?.includes('the file has changed since it was listed'),
    'the replacement to be refused',
  );
});
