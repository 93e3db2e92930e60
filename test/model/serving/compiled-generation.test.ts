import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  type CompiledModel,
  createCompiledModels,
  LEAST_COMPILED_BYTES,
} from '../../../functions/model/compiled/compiled-models.ts';
import type { FirstEngine } from '../../../functions/model/engine-plan.ts';
import type { ModelFiles } from '../../../functions/model/folder/files.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import { loadGeneration } from '../../../functions/model/serving/load-generation.ts';
import { engineOptions } from '../../helpers/engine-options.ts';
import { COLUMNS, layers } from '../../helpers/large-weights.ts';
import { localFiles } from '../../helpers/local-models.ts';
import { writeModel } from '../../helpers/models.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { setTemporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

const ENTRY = /^[0-9a-f]{32}$/;
const features = Array.from({ length: COLUMNS }, (_, i) => Math.sin(i));

/** A model with a golden row, and loads of it with a folder of compiled models, two engine processes each. */
async function setUp(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'compiled-generation-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const compiledFolder = join(root, 'compiled');
  const write = async (golden?: object): Promise<ModelFiles> =>
    localFiles(writeModel(root, 'net', layers(), undefined, golden));
  const plain = await loadGeneration(await write(), engineOptions(), recordTelemetry(), () => {});
  const row = { features, outputs: { y: (await predict(plain))[0] } };
  await plain.close();
  const files = await write({ rows: [row] });

  async function load(use: { always?: boolean; folder?: undefined } = {}) {
    const telemetry = recordTelemetry();
    const { logger } = telemetry;
    const models = createCompiledModels({
      always: true,
      folder: compiledFolder,
      filesAreMemory: false,
      logger,
      ...use,
    });
    t.after(() => models.close());
    const compiled = (await models.open({
      name: 'net',
      bytes: LEAST_COMPILED_BYTES,
      paths: [files.path],
      fetched: undefined,
    }))!;
    const firsts: FirstEngine[] = [];
    const count = (first: FirstEngine): number => firsts.push(first) && 2;
    const generation = await loadGeneration(
      files,
      engineOptions({ processes: 2 }),
      telemetry,
      () => {},
      count,
      compiled,
    );
    t.after(() => generation.close());
    const lines = (): string[] => telemetry.lines.map(({ level, message }) => `${level}: ${message}`);
    const has = (text: string) => until(() => lines().some((line) => line.includes(text)), text);
    return { generation, lines, has, firsts, compiled };
  }
  const entries = (): string[] =>
    readdirSync(compiledFolder, { recursive: true }).filter((name): name is string =>
      ENTRY.test(basename(String(name))),
    );
  return { load, entries, compiledFolder };
}

async function predict(generation: Generation): Promise<number[][]> {
  const feeds = generation.rows.decode(features, 'features');
  const [outcome] = await generation.predict(feeds, { cancelled: false });
  if ('error' in outcome!) throw outcome.error;
  return outcome!.outputs.map(({ data }) => Array.from(data as Float32Array));
}

const pids = (generation: Generation) => generation.engines().map(({ pid }) => pid);
const working = (generation: Generation): boolean => generation.engines().every(({ state }) => state === 'idle');

/** Loads the model until it is compiled, and its engines are replaced. */
async function compileOnce(load: Awaited<ReturnType<typeof setUp>>['load']) {
  const { generation, has, lines, firsts } = await load();
  const [before] = pids(generation);
  await has('the model is compiled');
  await until(() => firsts.length === 2 && working(generation), 'the replacement of the engines');
  return { generation, before, lines, firsts };
}

test('a model serves at once, is compiled meanwhile, and its engines are replaced by ones that share its weights', async (t) => {
  const { load, entries } = await setUp(t);
  const { generation, before, lines, firsts } = await compileOnce(load);
  assert.ok(lines().some((line) => line.startsWith('debug: weights are packed')));
  assert.ok(!pids(generation).includes(before));
  const [entry] = entries();
  for (const pid of pids(generation)) {
    assert.match(readFileSync(`/proc/${pid}/maps`, 'utf8'), new RegExp(`${entry}/weights.data`));
  }
  assert.deepEqual(
    firsts.map(({ isCompiled }) => isCompiled),
    [false, true],
  );
  assert.equal(lines().filter((line) => /^(warning|error)/.test(line)).length, 0, lines().join('\n'));
  assert.equal(entries().length, 1);
  const got = await predict(generation);

  const next = await load();
  assert.ok(next.lines().some((line) => line.startsWith('debug: weights are compiled')));
  assert.equal(next.firsts[0]!.isCompiled, true);
  assert.deepEqual(await predict(next.generation), got);
  await until(() => working(next.generation), 'the second engine');
});

test('a model with small weights is not compiled, unless all are to be', async (t) => {
  const { load, entries } = await setUp(t);
  const { generation } = await load({ always: false });
  await until(() => working(generation), 'the second engine');
  await generation.close();
  assert.throws(entries, /ENOENT/);
});

test('a compiled model whose golden row comes out wrong is discarded, and the file of the model serves', async (t) => {
  const { load, entries, compiledFolder } = await setUp(t);
  const { generation } = await compileOnce(load);
  const expected = await predict(generation);
  await generation.close();
  // Other weights with the checksums of these, which only an attacker or a bug would write.
  const at = join(compiledFolder, entries()[0]!);
  forge(at);
  const next = await load();
  assert.match(
    next.lines().join('\n'),
    /warning: the compiled model is discarded: .*golden\.json: rows\[0\]\.outputs\.y/,
  );
  assert.ok(next.lines().some((line) => line.startsWith('debug: weights are packed')));
  assert.deepEqual(await predict(next.generation), expected);
  await next.has('the model is compiled');
});

/** Scales the weights of an entry, and makes its header fit. */
function forge(at: string): void {
  const [data, file] = [join(at, 'weights.data'), join(at, 'compiled.json')];
  const { atime, mtime, size } = statSync(data);
  const content = readFileSync(data);
  const numbers = new Float32Array(content.buffer, content.byteOffset, content.length / 4).map((number) => number * 2);
  writeFileSync(data, numbers);
  utimesSync(data, atime, mtime);
  const bytes = readFileSync(data);
  let sample = 0;
  for (let i = 0; i < 64; i++) {
    const from = Math.floor(((size - 4096) * i) / 63);
    sample = crc32(bytes.subarray(from, from + 4096), sample);
  }
  const header = JSON.parse(readFileSync(file, 'utf8'));
  const stamp = `${size}-${statSync(data, { bigint: true }).mtimeNs}`;
  writeFileSync(file, JSON.stringify({ ...header, data: { stamp, sample } }));
}

test('a compiled model of another model is discarded before it serves', async (t) => {
  const { load } = await setUp(t);
  const { generation } = await compileOnce(load);
  await generation.close();
  const telemetry = recordTelemetry();
  const { compiled } = await load();
  const isOfModel = Promise.reject<void>(new Error('it was made from another model'));
  isOfModel.catch(() => {});
  let isDiscarded = false;
  async function discard(): Promise<void> {
    isDiscarded = true;
  }
  const other: CompiledModel = { ...compiled, isOfModel, discard };
  const files = await localFiles(join(compiled.files!.graph, '../../../net'));
  const loaded = await loadGeneration(files, engineOptions(), telemetry, () => {}, undefined, other);
  t.after(() => loaded.close());
  assert.ok(isDiscarded);
  assert.match(
    telemetry.lines.map(({ message }) => message).join('\n'),
    /discarded: .*another model\n.*weights are packed/s,
  );
});

test('a replaced or evicted model takes its compiled one with it, a server that ends leaves it', async (t) => {
  const { load, entries, compiledFolder } = await setUp(t);
  mkdirSync(compiledFolder);
  setTemporaryFolder(t, compiledFolder);
  const loadOwn = () => load({ folder: undefined });
  const { generation } = await compileOnce(loadOwn);
  await generation.close();
  assert.equal(entries().length, 1);
  const next = await loadOwn();
  await next.generation.retire();
  assert.equal(entries().length, 0);
});

test('a model that is closed while it is compiled leaves nothing', async (t) => {
  const { load, compiledFolder } = await setUp(t);
  const { generation, lines } = await load();
  await generation.close();
  const left = readdirSync(compiledFolder).flatMap((name) => readdirSync(join(compiledFolder, name)));
  assert.deepEqual(
    left.filter((name) => name !== 'alive'),
    [],
  );
  assert.equal(lines().filter((line) => /^(warning|error)/.test(line)).length, 0, lines().join('\n'));
});
