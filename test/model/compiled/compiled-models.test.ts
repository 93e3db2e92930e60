import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSession } from '../../../functions/engine/process/session.ts';
import {
  besideModel,
  type CompiledModel,
  createCompiledModels,
  LEAST_COMPILED_BYTES,
  makeBeside,
} from '../../../functions/model/compiled/compiled-models.ts';
import { describeMachine } from '../../../functions/model/compiled/machine.ts';
import { compileAt, orderFor } from '../../helpers/compiled.ts';
import { layers } from '../../helpers/large-weights.ts';
import { recordTelemetry } from '../../helpers/telemetry.ts';
import { setTemporaryFolder } from '../../helpers/temporary-folder.ts';

const machine = describeMachine();

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-models-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A model, and a folder of compiled models with servers that use it. */
function setUp(t: TestContext) {
  const root = temporary(t);
  const [folder, path] = [join(root, 'compiled'), join(root, 'model.onnx')];
  writeFileSync(path, layers());
  const telemetry = recordTelemetry();
  /** The model as another server with the same folder finds it. */
  async function open(
    options: Partial<Parameters<typeof createCompiledModels>[0]> = {},
    fetched?: string,
  ): Promise<CompiledModel> {
    const { logger } = telemetry;
    const models = createCompiledModels({ always: true, folder, filesAreMemory: false, logger, ...options });
    t.after(() => models.close());
    return (await models.open({ name: 'net', bytes: LEAST_COMPILED_BYTES, paths: [path], fetched }))!;
  }
  const infos = (): string[] => telemetry.lines.map(({ level, message }) => `${level}: ${message}`);
  return { folder, path, open, infos };
}

test('a model is compiled once, and the next server finds it', async (t) => {
  const { folder, path, open } = setUp(t);
  const first = await open();
  assert.equal(first.files, undefined);
  const made = await compileAt(path, first);
  const second = await open();
  assert.deepEqual(second.files, made);
  const session = await openSession(path, { ...orderFor(path), compiled: second.files });
  assert.equal(session.weights.use, 'compiled');
  assert.deepEqual(readdirSync(folder).filter((name) => !name.startsWith('onnx-cloud-run-')).length, 1);
});

test('a model that was replaced under its name, with the same size and time, is another one', async (t) => {
  const { path, open } = setUp(t);
  const mtime = new Date(1_000_000_000_000);
  utimesSync(path, mtime, mtime);
  await compileAt(path, await open());
  assert.notEqual((await open()).files, undefined);
  const { size } = statSync(path);
  const other = layers();
  other[other.length - 200]! ^= 1;
  writeFileSync(`${path}.new`, other);
  renameSync(`${path}.new`, path);
  utimesSync(path, mtime, mtime);
  assert.deepEqual([statSync(path).size, statSync(path).mtimeMs], [size, mtime.getTime()]);
  assert.equal((await open()).files, undefined);
});

for (const [what, other] of [
  ['CPU', { ...machine, cpu: 'x64: avx2' }],
  ['version of onnxruntime', { ...machine, runtime: 'onnxruntime-node 1.29.0' }],
] as const) {
  test(`what was compiled for another ${what} is neither used nor deleted`, async (t) => {
    const { folder, path, open, infos } = setUp(t);
    const made = await compileAt(path, await open({ machine: other }));
    assert.equal((await open()).files, undefined);
    assert.deepEqual((await open({ machine: other })).files, made);
    // Also under the name that this machine would give it.
    const [name] = readdirSync(folder).filter((one) => /^[0-9a-f]{32}$/.test(one));
    await compileAt(path, await open());
    const own = readdirSync(folder).find((one) => /^[0-9a-f]{32}$/.test(one) && one !== name)!;
    rmSync(join(folder, own), { recursive: true });
    cpSync(join(folder, name!), join(folder, own), { recursive: true, preserveTimestamps: true });
    assert.equal((await open()).files, undefined);
    assert.match(infos().join('\n'), /info: the compiled model in .* is not used: its key is another one/);
  });
}

const cutShort = (file: string): void => truncateSync(file, statSync(file).size - 1);
const overwrite = (file: string): void => writeFileSync(file, new Uint8Array(statSync(file).size).fill(7));
/** Changes a number between two blocks that are sampled. */
function changeOne(file: string): void {
  const content = readFileSync(file);
  content[6000]! ^= 1;
  writeFileSync(file, content);
}
for (const [what, file, damage] of [
  ['whose graph is cut short', 'graph.onnx', cutShort],
  ['whose weights are cut short', 'weights.data', cutShort],
  ['whose header is cut short', 'compiled.json', cutShort],
  ['whose graph is garbage', 'graph.onnx', overwrite],
  ['whose weights are garbage', 'weights.data', overwrite],
  ['with one other weight', 'weights.data', changeOne],
  ['whose header is garbage', 'compiled.json', overwrite],
  ['whose header is not an object', 'compiled.json', (path: string) => writeFileSync(path, 'null')],
  ['without its graph', 'graph.onnx', (path: string) => rmSync(path)],
  ['without its weights', 'weights.data', (path: string) => rmSync(path)],
] as const) {
  test(`a compiled model ${what} is not used, and is made again`, async (t) => {
    const { folder, path, open, infos } = setUp(t);
    await compileAt(path, await open());
    const name = readdirSync(folder).find((one) => /^[0-9a-f]{32}$/.test(one))!;
    damage(join(folder, name, file));
    const found = await open();
    assert.equal(found.files, undefined);
    assert.equal(infos().filter((line) => line.startsWith('info: the compiled model in')).length, 1);
    assert.equal(existsSync(join(folder, name)), false);
    assert.notEqual(await compileAt(path, found), undefined);
    assert.notEqual((await open()).files, undefined);
  });
}

test('a compiled model without a header, of a process that was killed, is replaced', async (t) => {
  const { folder, path, open } = setUp(t);
  await compileAt(path, await open());
  const name = readdirSync(folder).find((one) => /^[0-9a-f]{32}$/.test(one))!;
  rmSync(join(folder, name, 'compiled.json'));
  const found = await open();
  assert.equal(found.files, undefined);
  await compileAt(path, found);
  assert.notEqual((await open()).files, undefined);
});

test('two servers that compile the same model at once both have it, and one copy stays', async (t) => {
  const { folder, path, open } = setUp(t);
  const models = await Promise.all([open(), open()]);
  const [a, b] = await Promise.all(models.map((model) => compileAt(path, model)));
  assert.deepEqual(a, b);
  assert.notEqual(a, undefined);
  const session = await openSession(path, { ...orderFor(path), compiled: a });
  assert.equal(session.weights.use, 'compiled');
  const entries = readdirSync(folder).filter((name) => !name.startsWith('onnx-cloud-run-'));
  assert.equal(entries.length, 1);
  for (const work of readdirSync(folder).filter((name) => name.startsWith('onnx-cloud-run-'))) {
    assert.deepEqual(readdirSync(join(folder, work)), ['alive']);
  }
});

test('a result that is not as it was compared is not published', async (t) => {
  const { folder, path, open } = setUp(t);
  const model = await open();
  const refused = model.make(
    1000,
    async ({ graph, data }) => {
      writeFileSync(graph, 'graph');
      writeFileSync(data, 'data');
    },
    async () => {
      throw new Error('the outputs differ');
    },
  );
  await assert.rejects(refused, /the outputs differ/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.startsWith('onnx-cloud-run-')),
    [],
  );
  assert.equal((await open()).files, undefined);
  assert.ok(existsSync(path));
});

test('a compiled model is deleted with its model, unless another load uses it, and stays at a shutdown', async (t) => {
  const { path } = setUp(t);
  const { logger } = recordTelemetry();
  const root = temporary(t);
  setTemporaryFolder(t, root);
  const models = createCompiledModels({ always: true, folder: undefined, filesAreMemory: false, logger });
  t.after(() => models.close());
  const open = async () =>
    (await models.open({ name: 'net', bytes: LEAST_COMPILED_BYTES, paths: [path], fetched: undefined }))!;
  const entries = () =>
    readdirSync(root, { recursive: true }).filter((name) => /(^|\/)[0-9a-f]{32}$/.test(String(name))).length;
  const [old, next] = [await open(), await open()];
  await compileAt(path, old);
  await old.remove();
  assert.equal(entries(), 1, 'the next generation uses it');
  next.release();
  await next.remove();
  assert.equal(entries(), 1, 'a server that ends leaves it');
  const last = await open();
  assert.notEqual(last.files, undefined);
  await last.remove();
  assert.equal(entries(), 0);
});

test('in a folder that was set a compiled model outlives its model: another server may use it', async (t) => {
  const { path, open } = setUp(t);
  await compileAt(path, await open());
  const [mine, other] = [await open(), await open()];
  await mine.remove();
  assert.ok(existsSync(other.files!.graph));
  assert.notEqual((await open()).files, undefined);
});

test('in a folder that was set local models are identified by their content, whatever their times are', async (t) => {
  const { path, open } = setUp(t);
  const { mtime } = statSync(path);
  await compileAt(path, await open());
  const content = readFileSync(path);
  const other = Buffer.from(content);
  other[other.length - 200]! ^= 1;
  writeFileSync(path, other);
  utimesSync(path, mtime, mtime);
  assert.equal((await open()).files, undefined);
  writeFileSync(path, content);
  assert.notEqual((await open()).files, undefined, 'a new time of change, and the same content');
});

test('fetched files are identified by their generations, wherever they are', async (t) => {
  const { path, open } = setUp(t);
  await compileAt(path, await open({}, 'gs://bucket/model.onnx 1'));
  assert.notEqual((await open({}, 'gs://bucket/model.onnx 1')).files, undefined);
  assert.equal((await open({}, 'gs://bucket/model.onnx 2')).files, undefined);
  assert.equal((await open()).files, undefined);
});

test('a folder that was not set is not read if others can write to it', async (t) => {
  const { path, open } = setUp(t);
  const root = temporary(t);
  setTemporaryFolder(t, root);
  const own = () => open({ folder: undefined });
  await compileAt(path, await own());
  assert.notEqual((await own()).files, undefined);
  const [name] = readdirSync(root);
  chmodSync(join(root, name!), 0o770);
  assert.equal((await own()).files, undefined);
});

test('a model that is gone has no compiled form, and its load says so', async (t) => {
  const { path } = setUp(t);
  rmSync(path);
  const { logger, lines } = recordTelemetry();
  const models = createCompiledModels({ always: true, folder: undefined, filesAreMemory: false, logger });
  assert.equal(await models.open({ name: 'net', bytes: 1, paths: [path], fetched: undefined }), undefined);
  assert.deepEqual([lines.length, lines[0]!.level], [1, 'debug']);
});

test('a model with little weights has no compiled form, unless all are to have one', async (t) => {
  const { folder, path } = setUp(t);
  const { logger } = recordTelemetry();
  const model = { name: 'net', bytes: LEAST_COMPILED_BYTES - 1, paths: [path] as const, fetched: undefined };
  for (const always of [false, true]) {
    const models = createCompiledModels({ always, folder, filesAreMemory: false, logger });
    assert.equal((await models.open(model)) !== undefined, always);
  }
});

test('nothing is written where files take memory and no folder is set', async (t) => {
  const { path, open } = setUp(t);
  const model = await open({ folder: undefined, filesAreMemory: true });
  assert.equal(await compileAt(path, model), undefined);
});

test('a compiled model beside the model, as in an image, is found by the content of the model, also in a copy', async (t) => {
  const { path, open } = setUp(t);
  const root = temporary(t);
  await compileAt(path, { make: (_, compile, check) => makeBeside([path], compile, check) });
  cpSync(join(path, '..'), root, { recursive: true, preserveTimestamps: true });
  const { logger, lines } = recordTelemetry();
  const models = createCompiledModels({ always: false, folder: undefined, filesAreMemory: true, logger });
  const copy = join(root, 'model.onnx');
  const beside = async () =>
    (await models.open({ name: 'net', bytes: LEAST_COMPILED_BYTES, paths: [copy], fetched: undefined }))!;
  const found = await beside();
  await found.isOfModel;
  assert.ok(found.files!.graph.startsWith(besideModel(copy)));
  assert.equal((await openSession(copy, { ...orderFor(copy), compiled: found.files })).weights.use, 'compiled');
  // Its model stays as it is: the folder belongs to the image.
  await found.discard();
  await found.remove();
  assert.notEqual((await beside()).files, undefined);
  assert.notEqual((await open()).files, undefined);

  const { mtime } = statSync(copy);
  const other = layers();
  other[other.length - 200]! ^= 1;
  writeFileSync(copy, other);
  utimesSync(copy, mtime, mtime);
  await assert.rejects((await beside()).isOfModel, /was made from another model/);
  assert.equal(lines.length, 0);

  const header = join(besideModel(copy), 'compiled.json');
  writeFileSync(header, readFileSync(header, 'utf8').replace('avx', 'avy').replace('asimd', 'asimx'));
  assert.equal((await beside()).files, undefined);
  assert.match(lines[0]!.message, /it was made for the CPU .*, and this is/);
});

test('a compiled model whose disk has lost its weights, without another time, is not used', async (t) => {
  const { path, open, infos } = setUp(t);
  await compileAt(path, { make: (_, compile, check) => makeBeside([path], compile, check) });
  const data = join(besideModel(path), 'weights.data');
  writeFileSync(data, new Uint8Array(statSync(data).size));
  utimesSync(data, 0, 0);
  assert.equal((await open()).files, undefined);
  assert.match(infos().join(), /its weights\.data is not as it was written/);
});

test('a folder beside a model that cannot be compiled stays as it was', async (t) => {
  const root = temporary(t);
  const path = join(root, 'model.onnx');
  writeFileSync(path, layers());
  mkdirSync(besideModel(path));
  const failing = makeBeside(
    [path],
    () => Promise.reject(new Error('refused')),
    async () => {},
  );
  await assert.rejects(failing, /refused/);
  assert.deepEqual(readdirSync(root).sort(), ['.model.onnx.compiled', 'model.onnx']);
});
