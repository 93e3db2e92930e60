import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRepository } from '../../../functions/model/repository/repository.ts';
import type { Model } from '../../../functions/model/serving/model.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { localStore } from '../../helpers/local-models.ts';
import { addConstant, writeModel } from '../../helpers/models.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { BACKGROUND_MS, until } from '../../helpers/until.ts';

/** What one engine process with a small model is taken to need. */
const EACH = 73 * 2 ** 20;
const HEAVY = new Set(['loading', 'checking', 'warming']);

interface Options {
  readonly memoryBudget?: number;
  readonly onLine?: () => void;
}

/** Models by name, version 1 of each loaded. The first is the one behind /predict. */
async function setUp(t: TestContext, names: readonly string[], { memoryBudget, onLine }: Options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'updates-'));
  const store = localStore(folder);
  const telemetry = recordTelemetry();
  const { logger } = telemetry;
  /** Fetches that wait for the test, by model. */
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const fetching: string[] = [];
  for (const name of names) writeModel(folder, `${name}/1`, addConstant(1));
  const models = createRepository({
    store: {
      ...store,
      async fetchModel(version, options) {
        fetching.push(`${version.name}/${version.number}`);
        await gates.get(version.name)?.promise;
        return store.fetchModel(version, options);
      },
    },
    name: names[0],
    memoryBudget,
    sha256: undefined,
    refreshes: true,
    engine: engineOptions(),
    telemetry: {
      ...telemetry,
      logger: {
        ...logger,
        info(message, fields) {
          logger.info(message, fields);
          onLine?.();
        },
      },
    },
  });
  t.after(async () => {
    for (const gate of gates.values()) gate.resolve();
    await models.close();
    rmSync(folder, { recursive: true });
  });
  for (const name of names) await (await models.find(name)).whenLive();
  fetching.length = 0;
  return {
    ...telemetry,
    models,
    fetching,
    upload: (name: string, number: number) => void writeModel(folder, `${name}/${number}`, addConstant(number)),
    uploadBroken: (name: string) => void writeModel(folder, `${name}/2`, new TextEncoder().encode('no model')),
    hold: (name: string) => void gates.set(name, Promise.withResolvers()),
    release: (name: string, error?: Error) => {
      if (error === undefined) gates.get(name)!.resolve();
      else gates.get(name)!.reject(error);
    },
    versionOf: async (name: string) => (await models.find(name)).live()?.version,
    serves: (name: string, version: string) =>
      until(
        async () => (await models.find(name)).live()?.version === version,
        `version ${version} of ${name}`,
        BACKGROUND_MS,
      ),
  };
}

test('the fetch of one model delays no update of another, not even of one that is uploaded later', async (t) => {
  const { models, upload, hold, release, serves, versionOf, fetching } = await setUp(t, ['a', 'b', 'c']);
  hold('a');
  upload('a', 2);
  upload('b', 2);
  const over = models.refresh();
  await serves('b', '2');
  assert.equal(await versionOf('a'), '1');
  upload('b', 3);
  upload('c', 2);
  await until(() => !models.known().some((model) => model.status().name === 'b' && model.refreshing()), 'the swap');
  const later = models.refresh();
  await Promise.all([serves('b', '3'), serves('c', '2')]);
  assert.equal(await versionOf('a'), '1');
  release('a');
  await Promise.all([over, later]);
  assert.equal(await versionOf('a'), '2');
  assert.equal(fetching.filter((one) => one === 'a/2').length, 1);
});

test('an update that fails stops no other', async (t) => {
  const { models, upload, uploadBroken, versionOf, lines } = await setUp(t, ['a', 'b', 'c']);
  uploadBroken('a');
  upload('b', 2);
  upload('c', 2);
  await models.refresh();
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map(versionOf)), ['1', '2', '2']);
  assert.equal(lines.filter(({ level }) => level === 'error').length, 1);
});

test('four models are updated at a time', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const { models, upload, hold, release, fetching, versionOf } = await setUp(t, names);
  for (const name of names) {
    hold(name);
    upload(name, 2);
  }
  const over = models.refresh();
  await until(() => fetching.length === 4, 'four fetches');
  release('c');
  await until(() => fetching.length === 5, 'a fifth');
  assert.deepEqual(fetching.toSorted(), ['a/2', 'b/2', 'c/2', 'd/2', 'e/2']);
  for (const name of names) release(name);
  await over;
  assert.deepEqual(await Promise.all(names.map(versionOf)), Array(6).fill('2'));
});

test('one new version is loaded, checked and warmed up at a time', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const atOnce: number[] = [];
  let count = (): void => {};
  const { models, upload, hold, release, fetching, versionOf } = await setUp(t, names, { onLine: () => count() });
  const busy = (): Model[] => models.known().filter((model) => HEAVY.has(model.status().phase ?? ''));
  for (const name of names) {
    hold(name);
    upload(name, 2);
  }
  count = () => atOnce.push(busy().length);
  const over = models.refresh();
  await until(() => fetching.length === 4, 'four fetches');
  for (const name of names) release(name);
  await over;
  assert.deepEqual(await Promise.all(names.map(versionOf)), Array(4).fill('2'));
  assert.equal(Math.max(...atOnce), 1);
});

test('if memory allows one update at a time they wait for each other, and no other model is evicted', async (t) => {
  const names = ['a', 'b', 'c', 'd'];
  const { models, upload, versionOf, lines } = await setUp(t, names, { memoryBudget: 5 * EACH });
  // The last stays as it is, and idle.
  for (const name of names.slice(0, 3)) upload(name, 2);
  await models.refresh();
  assert.deepEqual(await Promise.all(names.map(versionOf)), ['2', '2', '2', '1']);
  assert.deepEqual(
    lines.filter(({ level, message }) => level === 'error' || message.startsWith('unloaded')),
    [],
  );
  assert.ok(models.memoryBytes() <= 5 * EACH);
});

test('closing ends the updates under way, and starts none of those that wait', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const { models, upload, hold, release, fetching, lines } = await setUp(t, names);
  for (const name of names) {
    hold(name);
    upload(name, 2);
  }
  const over = models.refresh();
  await until(() => fetching.length === 4, 'four fetches');
  const before = lines.length;
  const closing = models.close();
  for (const name of names) release(name);
  await Promise.all([over, closing]);
  assert.equal(fetching.length, 4);
  assert.deepEqual(lines.slice(before), []);
});
