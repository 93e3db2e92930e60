import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRepository, type Repository } from '../../../functions/model/repository/repository.ts';
import { descendants } from '../../helpers/descendants.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { localStore } from '../../helpers/local-models.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { type RecordingTelemetry, recordTelemetry } from '../../helpers/telemetry.ts';
import { float32 } from '../../helpers/tensors.ts';
import { until } from '../../helpers/until.ts';

/** What one engine process with a small model is taken to need. */
const EACH = 73 * 2 ** 20;

interface Rig extends Repository, RecordingTelemetry {
  readonly folder: string;
  listings(): number;
  /** The folder of each listing, `all` for one of all. */
  readonly listed: string[];
}

/** Models by name, each adding its number to what it gets. */
function setUp(
  t: TestContext,
  models: Record<string, number>,
  options: {
    name?: string;
    memoryBudget?: number;
    sha256?: string;
    loadsOnRequest?: ReadonlySet<string>;
    maxModels?: number;
  } = {},
): Rig {
  const folder = mkdtempSync(join(tmpdir(), 'repository-'));
  for (const [path, constant] of Object.entries(models)) writeModel(folder, path, addConstant(constant));
  const store = localStore(folder);
  const telemetry = recordTelemetry();
  const listed: string[] = [];
  const repository = createRepository({
    store: {
      ...store,
      list(background, scope) {
        listed.push(scope?.under ?? 'all');
        return store.list(background, scope);
      },
    },
    memoryBudget: undefined,
    sha256: undefined,
    name: undefined,
    ...options,
    refreshes: false,
    engine: engineOptions(),
    telemetry,
  });
  t.after(async () => {
    await repository.close();
    rmSync(folder, { recursive: true });
  });
  return { ...repository, ...telemetry, folder, listed, listings: () => listed.length };
}

/** What the model makes of 0. */
async function ask(repository: Repository, name: string, number?: string): Promise<number> {
  const model = await repository.find(name, number);
  const live = await model.whenLive();
  live.hold();
  try {
    const [outcome] = await live.predict({ tensors: [float32([1, 2], [0, 0])], rows: 1 }, { cancelled: false });
    if ('error' in outcome!) throw outcome.error;
    return Number(outcome!.outputs[0]!.data[outcome!.first * 2]);
  } finally {
    live.release();
  }
}

test('the model behind /predict and any other are found by name, in the highest or the requested version', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'a/2': 2, 'team/b c.d': 3, 'c/4': 4 }, { name: 'a' });
  assert.equal(await ask(models, 'a'), 2);
  assert.equal(models.main.live()!.version, '2');
  assert.equal(await ask(models, 'a', '1'), 1);
  assert.equal(await ask(models, 'team/b c.d'), 3);
  assert.equal(await models.find('a'), models.main);
  assert.equal(await models.find('a', '2'), models.main, 'the version that serves is not loaded twice');
  assert.equal(await ask(models, 'c'), 4);
  assert.equal(await models.find('c', '4'), await models.find('c'));
});

test('a model that does not exist is NOT_FOUND, and unknown names do not cost a listing each', async (t) => {
  const models = setUp(t, { 'a/1': 1 });
  await assert.rejects(models.find('b'), { code: 'NOT_FOUND', message: 'there is no model b' });
  await assert.rejects(models.find('a', '7'), { code: 'NOT_FOUND', message: 'the model a has no version 7' });
  for (let i = 0; i < 50; i++) await assert.rejects(models.find(`x${i}`), { code: 'NOT_FOUND' });
  assert.equal(models.listings(), 1);
  assert.equal(models.known().length, 1, 'nothing is kept for them');
});

test('a repository that cannot be listed is NOT_READY, with the reason', async (t) => {
  const models = setUp(t, {});
  rmSync(models.folder, { recursive: true });
  await assert.rejects(models.find('a'), {
    code: 'NOT_READY',
    message: "the models cannot be listed: the server's log says why",
    detail: /MODEL_URI .*: no such file or folder/,
  });
  writeModel(models.folder, 'a', addConstant(1));
});

test('ten models in a budget for five: each predicts, and at most five are loaded at a time', async (t) => {
  const names = Array.from({ length: 10 }, (_, i) => `m${i}`);
  const models = setUp(t, Object.fromEntries(names.map((name, i) => [name, i])), { memoryBudget: 5 * EACH });
  let most = 0;
  let next = 0;
  async function client(): Promise<void> {
    for (let i = next++; i < names.length; i = next++) {
      assert.equal(await ask(models, names[i]!), i);
      assert.ok(models.memoryBytes() <= 5 * EACH, `${models.memoryBytes()} bytes`);
      most = Math.max(most, descendants(process.pid).length);
    }
  }
  await Promise.all([client(), client(), client()]);
  assert.ok(most <= 5, `${most} engine processes at once`);
  assert.ok(most >= 3);
  const unloads = models.lines.filter(({ message }) => message.startsWith('unloaded'));
  assert.ok(unloads.length >= 5);
});

test('the model behind /predict is never evicted', async (t) => {
  const models = setUp(t, { a: 1, b: 2, c: 3 }, { name: 'a', memoryBudget: 3 * EACH });
  await models.main.whenLive();
  for (const [name, value] of [
    ['b', 2],
    ['c', 3],
    ['b', 2],
    ['c', 3],
  ] as const)
    assert.equal(await ask(models, name), value);
  assert.equal(models.main.status().state, 'ready');
});

test('a refresh finds the newer version of every model that serves', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5 }, { name: 'a' });
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [1, 5]);
  writeModel(models.folder, 'a/2', addConstant(2));
  writeModel(models.folder, 'b/2', addConstant(6));
  await models.refresh();
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [2, 6]);
  assert.equal(await ask(models, 'b', '1'), 5);
});

test('a newer version that does not fit does not unload the one that it would replace', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5 }, { name: 'a', memoryBudget: 2 * EACH });
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [1, 5]);
  writeModel(models.folder, 'b/2', addConstant(6));
  await models.refresh();
  const { state, version, refused } = (await models.find('b')).status();
  assert.deepEqual([state, version], ['ready', '1']);
  assert.match(refused!, /the server's log says why/);
  assert.match(models.lines.at(-1)!.message, /no room for a new version of b/);
  const [, b] = await models.list();
  assert.deepEqual(
    b!.versions.map(({ number, status }) => [number, status?.state]),
    [
      ['2', undefined],
      ['1', 'ready'],
    ],
  );
});

test('MODEL_SHA256 is checked under every address of the model, and for no other', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5 }, { name: 'a', sha256: '0'.repeat(64) });
  for (const number of [undefined, '1']) {
    const model = await models.find('a', number);
    await assert.rejects(model.whenLive(), { code: 'NOT_READY', detail: /MODEL_SHA256 is 0{64}/ });
  }
  assert.equal(await ask(models, 'b'), 5);
});

test('a refresh that cannot list the models changes nothing and is logged once', async (t) => {
  const models = setUp(t, { a: 1 });
  await models.main.whenLive();
  rmSync(models.folder, { recursive: true });
  await models.refresh();
  await models.refresh();
  assert.equal(models.main.status().state, 'ready');
  assert.equal(
    models.lines.filter(({ message }) => message.startsWith('the refresh could not list the models')).length,
    1,
  );
  writeModel(models.folder, 'a', addConstant(1));
});

test('the list has every model with its versions and their states', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'a/2': 2, b: 3 }, { name: 'a' });
  await models.main.whenLive();
  const reported = (await models.list()).map(({ name, versions }) => [
    name,
    ...versions.map(({ number, status }) => `${number} ${status?.state}`),
  ]);
  assert.deepEqual(reported, [
    ['a', '2 ready', '1 undefined'],
    ['b', 'undefined undefined'],
  ]);
});

test('a model that is unloaded on demand stays unloaded under every number, until it is loaded on demand', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5, 'b/2': 6 }, { name: 'a' });
  assert.deepEqual([await ask(models, 'b'), await ask(models, 'b', '1')], [6, 5]);
  const engines = descendants(process.pid).length;
  await models.unload('b');
  assert.ok(descendants(process.pid).length < engines, 'its engines are gone');
  for (const number of [undefined, '1', '2']) {
    await assert.rejects(models.find('b', number), {
      code: 'NOT_READY',
      message: /^the model b is unloaded: POST .*\/b\/load loads it/,
    });
  }
  assert.deepEqual(
    (await models.list()).map(({ name, unloaded }) => [name, unloaded]),
    [
      ['a', false],
      ['b', true],
    ],
  );
  await models.unload('b');
  await models.load('b');
  assert.deepEqual([await ask(models, 'b'), await ask(models, 'b', '1')], [6, 5]);
});

test('unloading waits for requests in flight, and for a load under way', async (t) => {
  const models = setUp(t, { a: 1, b: 2, c: 3 }, { name: 'a' });
  const b = await (await models.find('b')).whenLive();
  b.hold();
  let done = false;
  const unloading = models.unload('b').then(() => {
    done = true;
  });
  const [outcome] = await b.predict({ tensors: [float32([1, 2], [0, 0])], rows: 1 }, { cancelled: false });
  assert.ok('outputs' in outcome! && !done);
  b.release();
  await unloading;
  const c = await models.find('c');
  c.load();
  await models.unload('c');
  assert.equal(c.status().state, 'idle');
  await assert.rejects(models.find('c'), { code: 'NOT_READY' });
});

test('a load on demand loads the newest version, or says why it failed; a model that does not exist is NOT_FOUND', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5 }, { name: 'a' });
  await models.load('b');
  assert.equal((await models.find('b')).status().state, 'ready');
  writeModel(models.folder, 'b/2', addConstant(6));
  await models.load('b');
  assert.equal(await ask(models, 'b'), 6);
  writeModel(models.folder, 'b/3', new TextEncoder().encode('no model'));
  await assert.rejects(models.load('b'), {
    code: 'NOT_READY',
    message: /the new version of b failed to load; the previous version keeps serving: /,
  });
  assert.equal(await ask(models, 'b'), 6);
  writeModel(models.folder, 'c', new TextEncoder().encode('no model'));
  await assert.rejects(models.load('c'), { code: 'NOT_READY', message: /the model is not ready: / });
  for (const act of [models.load, models.unload])
    await assert.rejects(act('d'), { code: 'NOT_FOUND', message: 'there is no model d' });
  await assert.rejects(models.unload('a'), {
    code: 'FORBIDDEN',
    message: /a cannot be unloaded: it is the model behind \/predict/,
  });
});

test('an incomplete upload of a newer version is ignored, and logged', async (t) => {
  const models = setUp(t, { 'a/1': 1 });
  rmSync(join(writeModel(models.folder, 'a/2', addConstant(2), { version: '2' }), 'model.onnx'));
  assert.equal(await ask(models, 'a'), 1);
  const [line, ...more] = models.lines.filter(({ level }) => level === 'warning');
  assert.match(line!.message, /\/a\/2 has files, but no model\.onnx: it is ignored/);
  assert.deepEqual(more, []);
});

test('a load lists the folder of its model, and not the others', async (t) => {
  const names = Array.from({ length: 40 }, (_, i) => `m${i}`);
  const models = setUp(t, Object.fromEntries(names.map((name, i) => [`${name}/1`, i])), { name: 'm0' });
  await models.main.whenLive();
  assert.deepEqual(models.listed, ['m0', 'm0'], 'to load it, and to see that it is still the same');
  models.listed.length = 0;
  assert.deepEqual([await ask(models, 'm7'), await ask(models, 'm8')], [7, 8]);
  assert.deepEqual(models.listed, ['m7', 'm7', 'm8', 'm8']);
  models.listed.length = 0;
  await models.refresh();
  assert.deepEqual(models.listed, ['m0', 'm7', 'm8']);
  assert.equal((await models.list()).length, 40);
  assert.deepEqual(models.listed, ['m0', 'm7', 'm8', 'all']);
});

test('if many models serve, a refresh makes one listing of all', async (t) => {
  const names = Array.from({ length: 9 }, (_, i) => `m${i}`);
  const models = setUp(t, Object.fromEntries(names.map((name, i) => [`${name}/1`, i])), { name: 'm0' });
  for (const [i, name] of names.entries()) assert.equal(await ask(models, name), i);
  models.listed.length = 0;
  await models.refresh();
  assert.deepEqual(models.listed, ['all']);
});

test('unknown names, and names that lead out of the repository, cost one listing of all in some seconds', async (t) => {
  const models = setUp(t, { 'a/1': 1 }, { name: 'a' });
  await models.main.whenLive();
  models.listed.length = 0;
  for (const name of ['..', '../x', 'a/..', '/a', 'a/', '', '.', 'a\0', 'a/1', 'x'.repeat(5000)]) {
    await assert.rejects(models.find(name), { code: 'NOT_FOUND' }, name);
  }
  await assert.rejects(models.find('a', '7'), { code: 'NOT_FOUND' });
  assert.equal(models.listed.filter((one) => one === 'all').length, 1);
  assert.equal(models.listed.length, 2);
});

test('a model that is not loaded is removed when it has not been requested for a minute', async (t) => {
  const { now } = performance;
  let later = 0;
  t.mock.method(performance, 'now', () => now.call(performance) + later);
  const numbers = Array.from({ length: 20 }, (_, i) => String(i + 1));
  const models = setUp(
    t,
    { a: 1, ...Object.fromEntries(numbers.map((number) => [`b/${number}`, Number(number)])) },
    { name: 'a' },
  );
  assert.equal(await ask(models, 'b', '1'), 1);
  for (const number of numbers) await models.find('b', number);
  assert.equal(models.known().length, numbers.length + 1);
  later = 60_001;
  await models.find('b');
  assert.deepEqual(
    models.known().map((model) => model.status().state),
    ['idle', 'ready', 'idle'],
    'the one behind /predict, the one that is loaded, and the one that is asked for',
  );
  assert.equal(await ask(models, 'b', '20'), 20);
});

test('a model that has just been requested again is not removed before its load starts', async (t) => {
  const { now } = performance;
  let later = 0;
  t.mock.method(performance, 'now', () => now.call(performance) + later);
  const models = setUp(t, { a: 1, 'b/1': 2, 'b/2': 3, c: 4, d: 5 }, { name: 'a' });
  for (const [number, other] of [
    [undefined, 'c'],
    ['2', 'd'],
  ] as const) {
    const first = await models.find('b', number);
    later += 60_001;
    const found = await models.find('b', number);
    assert.equal(found, first);
    await models.find(other);
    assert.ok(models.known().includes(found), `b ${number ?? 'without a number'}`);
  }
});

test('a request that still uses the old version of one model does not delay the others', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5 }, { name: 'a' });
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [1, 5]);
  const old = models.main.live()!;
  old.hold();
  try {
    writeModel(models.folder, 'a/2', addConstant(2));
    writeModel(models.folder, 'b/2', addConstant(6));
    await models.refresh();
    assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [2, 6]);
    const b = await models.find('b');
    await until(() => !b.refreshing(), 'the end of its old version');
    writeModel(models.folder, 'b/3', addConstant(7));
    await models.refresh();
    assert.equal(await ask(models, 'b'), 7);
    assert.ok(models.main.refreshing());
  } finally {
    old.release();
  }
});

test('of two folders with one number one serves, and the other is logged', async (t) => {
  const models = setUp(t, { 'a/01': 1, 'a/1': 2, 'a/00': 3 }, { name: 'a' });
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'a', '0')], [2, 3]);
  const warnings = models.lines.filter(({ level }) => level === 'warning');
  assert.deepEqual(
    warnings.map(({ message }) => message.replace(models.folder, '')),
    ['/a/01 has the version number of another folder, which serves: it is ignored'],
  );
});

test('the description of one model uses a listing of its folder for some seconds, also by the name that its files give it', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'b/1': 5, 'b/2': 6 }, { name: 'a' });
  writeModel(models.folder, 'a/1', addConstant(1), { name: 'called' });
  await models.main.whenLive();
  models.listed.length = 0;
  const reported = async (name: string) => {
    const { name: folder, unloaded, versions } = await models.describe(name);
    return [folder, unloaded, ...versions.map(({ number, status }) => `${number} ${status?.state}`)];
  };
  assert.deepEqual(await reported('b'), ['b', false, '2 undefined', '1 undefined']);
  assert.deepEqual(await reported('b'), ['b', false, '2 undefined', '1 undefined']);
  assert.deepEqual(models.listed, ['b']);
  assert.deepEqual(await reported('called'), ['a', false, '1 ready']);
  await models.unload('b');
  assert.deepEqual(await reported('b'), ['b', true, '2 undefined', '1 undefined']);
  await assert.rejects(models.describe('c'), { code: 'NOT_FOUND', message: 'there is no model c' });
});

test('requests load the models that the operator allows, the one behind /predict, and those that were loaded on demand', async (t) => {
  const models = setUp(t, { 'a/1': 1, 'a/2': 2, b: 3, c: 4 }, { name: 'a', loadsOnRequest: new Set(['b']) });
  const refused = {
    code: 'NOT_READY',
    message: /^the model [ac] is not loaded, and requests do not load it: an administrator can$/,
    retryAfter: 60,
    detail: 'MODEL_LOAD_ON_REQUEST',
  };
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [2, 3]);
  await assert.rejects(ask(models, 'c'), refused);
  await assert.rejects(ask(models, 'a', '1'), refused);
  assert.equal((await models.find('c')).status().state, 'idle');
  await models.load('c');
  assert.equal(await ask(models, 'c'), 4);
  await (await models.find('c')).unload();
  assert.equal(await ask(models, 'c'), 4, 'it is loaded again after it was evicted');
  await models.unload('c');
  await assert.rejects(ask(models, 'c'), { code: 'NOT_READY', message: /unloaded/ });
});

test('no more models are loaded than may be, also where the memory has no limit', async (t) => {
  const models = setUp(t, { a: 1, b: 2, c: 3, d: 4 }, { name: 'a', maxModels: 2 });
  await models.main.whenLive();
  for (const [name, value] of [
    ['b', 2],
    ['c', 3],
    ['d', 4],
  ] as const) {
    assert.equal(await ask(models, name), value);
    assert.equal(models.known().filter((model) => model.live() !== undefined).length, 2);
  }
  assert.ok(models.main.live());
});

test('a request for which all memory is in steady use is refused with Retry-After, and is logged once', async (t) => {
  const models = setUp(t, { a: 1, b: 2, c: 3 }, { name: 'a', memoryBudget: 2 * EACH });
  assert.deepEqual([await ask(models, 'a'), await ask(models, 'b')], [1, 2]);
  const b = await models.find('b');
  t.mock.method(b, 'usedSeconds', () => 5);
  const c = await models.find('c');
  for (const later of [0, 5000]) {
    const { now } = performance;
    t.mock.method(performance, 'now', () => now.call(performance) + later);
    await assert.rejects(c.whenLive(), { code: 'NOT_READY', retryAfter: 5, message: /in use/ });
  }
  assert.equal(models.lines.filter(({ level, message }) => level === 'warning' && /in use/.test(message)).length, 1);
  assert.ok(b.live());
  await models.load('c');
  assert.equal(b.live(), undefined, 'an administrator may evict it');
});
