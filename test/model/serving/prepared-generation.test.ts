import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { type TestContext, test } from 'node:test';
import { engineBytes, packedEngineBytes } from '../../../functions/engine/capacity.ts';
import type { CompiledModels, OriginalModel } from '../../../functions/model/compiled/compiled-models.ts';
import { createStore } from '../../../functions/model/fetch/store.ts';
import { stampOf } from '../../../functions/model/folder/layout.ts';
import { MemoryBudget } from '../../../functions/model/memory-budget.ts';
import { fetchAndPrepare, type PreparationOptions } from '../../../functions/model/serving/prepared-generation.ts';
import { pickListed } from '../../../functions/model/serving/version-listing.ts';
import { descendants } from '../../helpers/descendants.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { pickMain } from '../../helpers/local-models.ts';
import { addConstant, externalWeights, lookUp, writeModel } from '../../helpers/models.ts';
import { type StorageServer, startStorage } from '../../helpers/storage-server.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { concat, field } from '../../helpers/wire.ts';

const OLD = { updated: new Date(0).toISOString() };
const PROGRESS = { phase: () => {}, found: () => {}, fetched: () => {} };
const EACH = engineBytes(0);

interface Rig {
  readonly storage: StorageServer;
  readonly options: PreparationOptions;
  readonly listings: () => number;
  prepare(background?: boolean): ReturnType<typeof fetchAndPrepare>;
}

interface Options {
  /** Bytes for all models. */
  readonly limit?: number;
  /** Called after each listing, with its number. */
  readonly onList?: (n: number) => void;
  readonly uri?: string;
  readonly file?: string;
  /** The most engines of a generation. */
  readonly cpus?: number;
}

/** A bucket with one model, and what a server needs to load it. */
async function setUp(
  t: TestContext,
  { limit, onList = () => {}, uri = 'gs://models/m', file, cpus = 1 }: Options = {},
): Promise<Rig> {
  const storage = await startStorage();
  process.env.STORAGE_EMULATOR_HOST = storage.url;
  const events = { onRetry: () => {}, onCache: () => {} };
  const store = createStore({ uri, file, cache: undefined, filesAreMemory: true }, events);
  let listings = 0;
  const options: PreparationOptions = {
    store: {
      ...store,
      async list(...scope) {
        const layout = await store.list(...scope);
        onList(++listings);
        return layout;
      },
    },
    budget: new MemoryBudget(limit),
    engine: engineOptions({ capacity: { cpus, memoryBytes: undefined }, processes: undefined }),
    telemetry: recordTelemetry(),
    modelCount: () => 1,
    keepsSpareMemory: () => false,
    pick: (layout) => pickMain(layout),
    onListed: () => {},
    inLoadTurn: (work) => work(),
    settleMs: 1,
  };
  t.after(async () => {
    store.close();
    await storage.close();
  });
  return {
    storage,
    options,
    listings: () => listings,
    async prepare(background = false) {
      const candidate = await fetchAndPrepare(options, PROGRESS, background);
      t.after(() => candidate.close());
      return candidate;
    },
  };
}

/** What is looked for among compiled models, which there are none of. */
function recordCompiled(): { compiledModels: CompiledModels; asked: OriginalModel[] } {
  const asked: OriginalModel[] = [];
  return { compiledModels: { open: async (model) => void asked.push(model), close() {} }, asked };
}

test('a fetched model is looked for among compiled ones by its generation and checksums, with its weights', async (t) => {
  const rig = await setUp(t);
  const { model, data } = externalWeights();
  const { compiledModels, asked } = recordCompiled();
  Object.assign(rig.options.engine, { compiledModels });
  rig.storage.put('models', 'm/model.onnx.data', data, OLD);
  for (let i = 0; i < 2; i++) {
    rig.storage.put('models', 'm/model.onnx', model, OLD);
    await rig.prepare();
  }
  const [first, second] = asked;
  assert.deepEqual(
    first!.paths.map((path) => posix.basename(path)),
    ['model.onnx', 'model.onnx.data'],
  );
  assert.equal(first!.bytes, model.length + data.length);
  assert.match(
    first!.fetched!,
    /^gs:\/\/models\/m\nmodel\.onnx \S+ \d+ \d+ [0-9a-f]{32}\nmodel\.onnx\.data \S+ \d+ \d+ [0-9a-f]{32}$/,
  );
  assert.notEqual(second!.fetched, first!.fetched, 'it was uploaded again');
});

test('a local model is looked for by its own file, and not at all if its weights are mapped, or MODEL_SHA256 is for it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'prepared-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const rig = await setUp(t, { uri: writeModel(folder, 'm', addConstant(1)) });
  const { compiledModels, asked } = recordCompiled();
  Object.assign(rig.options.engine, { compiledModels, weights: 'mapped' });
  await rig.prepare();
  assert.equal(asked.length, 0);
  Object.assign(rig.options.engine, { weights: 'packed' });
  await rig.prepare();
  assert.deepEqual(asked[0]!.paths, [join(folder, 'm', 'model.onnx')]);
  assert.equal(asked[0]!.fetched, undefined);
  // A compiled model is not the file of the digest.
  const sha256 = createHash('sha256').update(addConstant(1)).digest('hex');
  Object.assign(rig.options, { sha256 });
  await rig.prepare();
  assert.equal(asked.length, 1);
});

test('a single object is listed once: its generation is pinned', async (t) => {
  const { storage, prepare, listings } = await setUp(t);
  storage.put('models', 'm/model.onnx', addConstant(1));
  const { generation } = await prepare();
  assert.equal(generation.name, 'm');
  assert.equal(listings(), 1);
});

test('several objects are listed again after the read, and read again if one was replaced meanwhile', async (t) => {
  const { storage, prepare, listings } = await setUp(t, {
    onList: (n) => {
      if (n === 1) storage.put('models', 'm/model.json', Buffer.from('{"version":"2"}'));
    },
  });
  storage.put('models', 'm/model.onnx', addConstant(1), OLD);
  storage.put('models', 'm/model.json', Buffer.from('{"version":"1"}'), OLD);
  assert.equal((await prepare()).generation.version, '2');
  assert.ok(listings() >= 3);
});

test('new weights may belong to an incomplete upload: they are accepted when two listings are equal', async (t) => {
  const { model, data } = externalWeights();
  const other = new Uint8Array(Float32Array.of(7, 7).buffer);
  const { storage, prepare } = await setUp(t, {
    onList: (n) => {
      if (n === 1) storage.put('models', 'm/model.onnx.data', other);
    },
  });
  storage.put('models', 'm/model.onnx.data', data);
  storage.put('models', 'm/model.onnx', model);
  const before = storage.requests.length;
  const { weights } = await prepare();
  assert.deepEqual(weights, ['model.onnx.data']);
  const reads = storage.requests.slice(before).filter(({ kind, name }) => kind === 'media' && name.endsWith('.data'));
  assert.equal(reads.length, 1, 'the weights of the first listing were never read');
});

test('a model that changes at every read fails, with a reason', async (t) => {
  const { storage, prepare } = await setUp(t, {
    onList: (n) => {
      storage.put('models', 'm/model.json', Buffer.from(`{"version":"${n}"}`), OLD);
    },
  });
  storage.put('models', 'm/model.onnx', addConstant(1), OLD);
  storage.put('models', 'm/model.json', Buffer.from('{}'), OLD);
  await assert.rejects(prepare(), {
    code: 'MODEL_FAILED',
    message: 'gs://models/m: m changed while it was read, 5 times over',
  });
  // The fetching process ends a while after its last order.
  const left = descendants(process.pid).map((pid) =>
    spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }),
  );
  assert.ok(
    left.every(({ stdout }) => stdout === '' || stdout.includes('fetch')),
    left.map(({ stdout }) => stdout).join(),
  );
});

test('the memory of file and engines is counted, and released with the generation, like its files', async (t) => {
  const { storage, prepare, options } = await setUp(t, { cpus: 2 });
  const bytes = addConstant(1);
  storage.put('models', 'm/model.onnx', bytes);
  const candidate = await prepare();
  assert.equal(options.budget.used(), bytes.length + 2 * engineBytes(bytes.length));
  await candidate.retire();
  assert.equal(options.budget.used(), 0);
});

test('further engines are counted with the memory that the first takes, and mapped weights once', async (t) => {
  const { storage, prepare, options } = await setUp(t, { cpus: 2 });
  const bytes = lookUp(1, 6_000_000);
  storage.put('models', 'm/model.onnx', bytes);
  await prepare();
  const used = options.budget.used();
  assert.ok(used >= bytes.length + 2 * EACH, `${used} bytes`);
  assert.ok(used < bytes.length + 2 * EACH + bytes.length, `${used} bytes: no copy of the weights`);
});

const MIB = 2 ** 20;

test('if memory is short for a copy of the weights they are mapped, and a file that cannot be mapped is refused', async (t) => {
  // The file, which is memory here, and an engine without a copy of the weights.
  const { storage, options } = await setUp(t, { limit: 150 * MIB });
  const telemetry = recordTelemetry();
  const capacity = { cpus: 1, memoryBytes: 278 * MIB };
  const short = { ...options, telemetry, engine: engineOptions({ capacity, processes: undefined }) };
  storage.put('models', 'm/model.onnx', lookUp(3, 16 * MIB));
  const mapped = await fetchAndPrepare(short, PROGRESS, false);
  const lines = telemetry.lines.map(({ message }) => message);
  assert.ok(lines.includes(`weights are mapped: ${64 * MIB} bytes of the file are mapped`), lines.join('\n'));
  await mapped.close();
  assert.equal(options.budget.used(), 0);

  // The same size, as a doc_string of the model.
  storage.put('models', 'm/model.onnx', concat(addConstant(1), field(6, 'x'.repeat(64 * MIB))));
  await assert.rejects(fetchAndPrepare(short, PROGRESS, false), {
    code: 'MODEL_FAILED',
    message: /the model m \(\d+ bytes\) needs about \d+ MiB of memory, and the memory limit leaves 150 MiB/,
  });
  assert.equal(options.budget.used(), 0);
});

test('if memory is short there are fewer engines, and beside another generation one, until that is closed', async (t) => {
  const { storage, prepare, options } = await setUp(t, { limit: 3.5 * EACH, cpus: 2 });
  storage.put('models', 'm/model.onnx', addConstant(1));
  const first = await prepare();
  assert.equal(first.generation.engines().filter(({ state }) => state !== 'closed').length, 2);
  storage.put('models', 'm/model.onnx', addConstant(2));
  const second = await prepare(true);
  const running = () => second.generation.engines().filter(({ state }) => state !== 'closed').length;
  assert.equal(running(), 1);
  await first.retire();
  second.grow();
  assert.equal(running(), 2);
  assert.ok(options.budget.used() <= 3.5 * EACH);
});

test('if a newer version or another model is possible, memory for one is kept free', async (t) => {
  const { storage, options } = await setUp(t, { limit: 2.5 * EACH, cpus: 2 });
  storage.put('models', 'm/model.onnx', addConstant(1));
  const first = await fetchAndPrepare({ ...options, keepsSpareMemory: () => true }, PROGRESS, false);
  t.after(() => first.close());
  assert.equal(first.generation.engines().length, 1);
  storage.put('models', 'm/model.onnx', addConstant(2));
  const second = await fetchAndPrepare(options, PROGRESS, true);
  await second.close();
});

test('a version that does not fit beside the one that serves is refused, and one that can never fit is not read', async (t) => {
  const { storage, prepare } = await setUp(t, { limit: 1.5 * EACH });
  storage.put('models', 'm/model.onnx', addConstant(1));
  await prepare();
  await assert.rejects(prepare(true), {
    code: 'MODEL_FAILED',
    message: /no room for a new version of m \(\d+ bytes\) beside/,
  });
  const before = storage.requests.length;
  storage.put('models', 'm/model.onnx', new Uint8Array(2 * EACH));
  await assert.rejects(prepare(), {
    code: 'MODEL_FAILED',
    message: /the model m \(\d+ bytes\) needs about \d+ MiB of memory/,
  });
  assert.ok(!storage.requests.slice(before).some(({ kind }) => kind === 'media'));
});

test('a load that fails leaves no engine, no file and no reservation', async (t) => {
  const { storage, prepare, options } = await setUp(t);
  const brought: string[] = [];
  const { fetchModel } = options.store;
  t.mock.method(options.store, 'fetchModel', async (...args: Parameters<typeof fetchModel>) => {
    const local = await fetchModel(...args);
    brought.push(local.folder);
    return local;
  });
  storage.put('models', 'm/model.onnx', addConstant(1), OLD);
  storage.put('models', 'm/golden.json', Buffer.from('{"rows":[{"features":[0,0],"outputs":{"y":[5,5]}}]}'), OLD);
  await assert.rejects(prepare(), /golden\.json: rows\[0\]\.outputs\.y: element 0 came out as 1, expected 5/);
  assert.equal(options.budget.used(), 0);
  assert.deepEqual(brought.map(existsSync), [false]);
  // The fetching process ends a while after its last order.
  const left = descendants(process.pid).map((pid) =>
    spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }),
  );
  assert.ok(
    left.every(({ stdout }) => stdout === '' || stdout.includes('fetch')),
    left.map(({ stdout }) => stdout).join(),
  );
});

const reads = ({ requests }: StorageServer) => requests.filter(({ kind }) => kind === 'media').map(({ name }) => name);

test('files to which the model does not refer are neither fetched nor counted, and their changes are ignored', async (t) => {
  const checkpoint = Buffer.alloc(2 * EACH);
  const { storage, prepare, options } = await setUp(t, { limit: 2 * EACH });
  const bytes = addConstant(1);
  storage.put('models', 'm/model.onnx', bytes, OLD);
  for (const name of ['pytorch_model.bin', 'other.onnx.data', 'weights']) {
    storage.put('models', `m/${name}`, checkpoint, OLD);
  }
  const { generation, stamp, version } = await prepare();
  assert.deepEqual(reads(storage), ['m/model.onnx']);
  assert.equal(generation.bytes, bytes.length);
  assert.equal(options.budget.used(), bytes.length + engineBytes(bytes.length));
  storage.put('models', 'm/pytorch_model.bin', Buffer.alloc(1), OLD);
  assert.equal(
    stampOf(await pickListed(options, await options.store.list(false), { version, weights: [] }), []),
    stamp,
  );
});

test('files to which the model refers are fetched and counted, with any name and in any folder below', async (t) => {
  for (const location of ['layer 1', 'parts/a b/w.quant', './w.json', 'golden.json.data']) {
    const { model, data } = externalWeights(location);
    const path = posix.normalize(location);
    const { storage, prepare, options } = await setUp(t);
    storage.put('models', 'm/model.onnx', model, OLD);
    storage.put('models', `m/${path}`, data, OLD);
    const { generation, weights, stamp } = await prepare();
    assert.deepEqual(weights, [path]);
    assert.equal(generation.bytes, model.length + data.length);
    const total = model.length + data.length;
    assert.equal(options.budget.used(), total + packedEngineBytes(data.length, model.length));
    storage.put('models', `m/${path}`, data, OLD);
    const next = await prepare(true);
    assert.notEqual(next.stamp, stamp);
  }
});

test('the weights of a single object are found beside it and below it, and are listed again for comparisons', async (t) => {
  for (const location of ['w', 'parts/w']) {
    const { model, data } = externalWeights(location);
    const { storage, prepare, options } = await setUp(t, { uri: 'gs://models/m/fraud.onnx' });
    storage.put('models', 'm/fraud.onnx', model, OLD);
    storage.put('models', `m/${location}`, data, OLD);
    const { generation, weights, stamp, version } = await prepare();
    assert.deepEqual([generation.name, weights], ['fraud', [location]]);
    const again = await pickListed(options, await options.store.list(false), { version, weights });
    assert.equal(stampOf(again, weights), stamp);
  }
});

test("the weights of MODEL_FILE are beside the file, its manifest and golden rows in the model's folder", async (t) => {
  const { model, data } = externalWeights('model_q.onnx_data');
  const { storage, prepare } = await setUp(t, { file: 'onnx/model_q.onnx' });
  storage.put('models', 'm/onnx/model_q.onnx', model, OLD);
  storage.put('models', 'm/onnx/model_q.onnx_data', data, OLD);
  storage.put('models', 'm/onnx/model.onnx', addConstant(1), OLD);
  storage.put('models', 'm/model.json', Buffer.from('{"version":"7"}'), OLD);
  const { generation, weights } = await prepare();
  assert.deepEqual([generation.name, generation.version, weights], ['m', '7', ['onnx/model_q.onnx_data']]);
});

test('missing weights are named, and the memory is released', async (t) => {
  const { storage, prepare, options } = await setUp(t);
  storage.put('models', 'm/model.onnx', externalWeights('parts/w.bin').model, OLD);
  storage.put('models', 'm/w.bin', Buffer.alloc(8), OLD);
  await assert.rejects(prepare(), {
    code: 'MODEL_FAILED',
    message: 'gs://models/m/model.onnx keeps weights in parts/w.bin, which is not beside it: upload it too',
  });
  assert.equal(options.budget.used(), 0);
});

test('weights that can never fit are not read', async (t) => {
  const { model, location } = externalWeights();
  const { storage, prepare, options } = await setUp(t, { limit: 2 * EACH });
  storage.put('models', 'm/model.onnx', model, OLD);
  storage.put('models', `m/${location}`, Buffer.alloc(2 * EACH), OLD);
  await assert.rejects(prepare(), { code: 'MODEL_FAILED', message: /the model m \(\d+ bytes\) needs about \d+ MiB/ });
  assert.deepEqual(reads(storage), ['m/model.onnx']);
  assert.equal(options.budget.used(), 0);
});

test('a manifest and golden rows that are too large are not read', async (t) => {
  const { storage, prepare } = await setUp(t);
  storage.put('models', 'm/model.onnx', addConstant(1), OLD);
  storage.put('models', 'm/golden.json', Buffer.alloc(2 ** 24 + 1, ' '), OLD);
  await assert.rejects(prepare(), {
    code: 'MODEL_FAILED',
    message: /^gs:\/\/models\/m\/golden\.json has 16777217 bytes, and may have 16777216: keep fewer golden rows$/,
  });
  assert.deepEqual(reads(storage), []);
});

test('local weights of an unusual name are counted too', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'candidate-'));
  const { model, data } = externalWeights('weights.csv');
  const uri = writeModel(folder, 'm', model);
  writeFileSync(join(uri, 'weights.csv'), data);
  const { options } = await setUp(t, { uri });
  const candidate = await fetchAndPrepare(options, PROGRESS, false);
  t.after(async () => {
    await candidate.close();
    rmSync(folder, { recursive: true });
  });
  assert.deepEqual(candidate.weights, ['weights.csv']);
  assert.equal(candidate.generation.bytes, model.length + data.length);
});
