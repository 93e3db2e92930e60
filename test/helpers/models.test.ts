import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type * as Ort from 'onnxruntime-node';
import { DTYPES, type DType } from '../../functions/tensor/tensor.ts';
import * as models from './models.ts';

let ort: typeof Ort;
let dir: string;
before(async () => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  // The binding takes a Float16Array for one of 0 bytes (microsoft/onnxruntime pull request 32323). Where the class is
  // not there, ORT uses a Uint16Array, which works.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  ort = await import('onnxruntime-node');
  dir = mkdtempSync(join(tmpdir(), 'models-'));
});
after(() => rmSync(dir, { recursive: true }));

const load = (model: Uint8Array | string) =>
  ort.InferenceSession.create(model as string, { intraOpNumThreads: 1, logSeverityLevel: 4 });

const f32 = (dims: number[], values: number[]) => new ort.Tensor('float32', values, dims);

/** Runs a model and gives its outputs as plain `{ dims, data }`. */
async function run(model: Uint8Array | string, feeds: Record<string, Ort.Tensor>) {
  const results = await (await load(model)).run(feeds);
  const plain = Object.entries(results).map(([name, tensor]) => {
    return [name, { dims: [...tensor.dims], data: Array.from(tensor.data as ArrayLike<unknown>) }];
  });
  return Object.fromEntries(plain) as Record<string, { dims: number[]; data: unknown[] }>;
}

for (const dtype of Object.keys(DTYPES) as DType[]) {
  test(`identity gives back ${dtype}`, async () => {
    const session = await load(models.identity(dtype, ['N', 2]));
    assert.deepEqual(session.inputMetadata, [{ name: 'x', isTensor: true, type: dtype, shape: ['N', 2] }]);
    const result = await session.run({ x: sample(dtype) });
    assert.deepEqual([result.y?.type, result.y?.dims], [dtype, [1, 2]]);
    assert.deepEqual(result.y?.data, sample(dtype).data);
  });
}

function sample(dtype: DType): Ort.Tensor {
  if (dtype === 'string') return new ort.Tensor(['ø', ''], [1, 2]);
  if (dtype === 'bool') return new ort.Tensor('bool', [true, false], [1, 2]);
  const data = DTYPES[dtype].make(2) as Uint8Array;
  new Uint8Array(data.buffer).fill(1);
  return new ort.Tensor(dtype as 'uint8', data, [1, 2]);
}

test('identity takes names with a slash', async () => {
  const session = await load(models.identity('float32', [1], { input: 'gpu_0/data_0', output: 'gpu_0/out' }));
  assert.deepEqual([session.inputNames, session.outputNames], [['gpu_0/data_0'], ['gpu_0/out']]);
});

test('add adds two inputs', async () => {
  const feeds = { a: f32([2, 2], [1, 2, 3, 4]), b: f32([2, 2], [10, 20, 30, 40]) };
  assert.deepEqual(await run(models.add(), feeds), { sum: { dims: [2, 2], data: [11, 22, 33, 44] } });
});

test('twoOutputs gives two dtypes and two ranks', async () => {
  const x = new ort.Tensor('int64', [2n ** 60n, -2n], [2, 1]);
  const z = new ort.Tensor('float64', [1, 2, 3, 4], [2, 2]);
  assert.deepEqual(await run(models.twoOutputs(), { x, z }), {
    i: { dims: [2, 1], data: [2n ** 60n + 1n, -1n] },
    r: { dims: [2], data: [3, 7] },
  });
});

test('manyInputs reads a number and a text', async () => {
  const feeds = { age: f32([3, 1], [41, 42, 43]), city: new ort.Tensor(['Oslo', 'Rome', 'Bern'], [3, 1]) };
  assert.deepEqual(await run(models.manyInputs(), feeds), { y: { dims: [3, 1], data: [141, 242, 43] } });
});

/** Models of one input `x` and one output `y`, both float32. */
const cases: [title: string, make: () => Uint8Array, dims: number[], x: number[], yDims: number[], y: number[]][] = [
  ['addConstant adds its constant', () => models.addConstant(5), [1, 2], [1, 2], [1, 2], [6, 7]],
  ['notFinite gives infinity and NaN', models.notFinite, [3, 1], [1, 0, -1], [3, 1], [0, -Infinity, NaN]],
  ['sequenceAxis sums along axis 0', models.sequenceAxis, [2, 3], [1, 2, 3, 4, 5, 6], [2, 3], [1, 2, 3, 5, 7, 9]],
  ['softmaxAxis0 shares out over axis 0', models.softmaxAxis0, [2, 3], [0, 1, 2, 0, 1, 2], [2, 3], Array(6).fill(0.5)],
  ['softmaxAxis0 gives a lone row ones', models.softmaxAxis0, [1, 3], [0, 1, 2], [1, 3], [1, 1, 1]],
  ['rowsSeeEachOther centres rows', models.rowsSeeEachOther, [2, 3], [0, 0, 0, 2, 4, 6], [2, 3], [-1, -2, -3, 1, 2, 3]],
  ['fixedBatch takes one row', models.fixedBatch, [1, 4], [1, 2, 3, 4], [1, 2], [3, 7]],
  ['scalarOutput gives one scalar', () => models.scalarOutput(), [2, 3], [1, 1, 1, 1, 1, 1], [], [6]],
  ['scalarOutput gives one element', () => models.scalarOutput([1]), [2, 3], [1, 1, 1, 1, 1, 1], [1], [6]],
  ['rankOne takes one example', models.rankOne, [3], [1, 2, 3], [3], [2, 4, 6]],
  ['freeDimensions takes any matrix', models.freeDimensions, [2, 1], [1, 2], [2, 1], [2, 4]],
  ['poisonable doubles rows', models.poisonable, [2, 1], [0, 2.5], [2, 1], [0, 5]],
  ['endless returns at once for 0 and below', models.endless, [2, 1], [0, -1], [2, 1], [0, -1]],
  ['slow returns at once for 0', models.slow, [1, 1], [0], [1, 1], [0]],
];
for (const [title, make, dims, x, yDims, y] of cases) {
  test(title, async () => assert.deepEqual(await run(make(), { x: f32(dims, x) }), { y: { dims: yDims, data: y } }));
}

test('fixedBatch refuses two rows', async () => {
  await assert.rejects(run(models.fixedBatch(), { x: f32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]) }), /invalid dimensions/);
});

test('poisonable fails the whole run for one row below 0, and works afterwards', async () => {
  const session = await load(models.poisonable());
  await assert.rejects(session.run({ x: f32([3, 1], [1, -0.5, 1]) }), /out of data bounds/);
  const { y } = await session.run({ x: f32([1, 1], [1]) });
  assert.deepEqual(y?.data, Float32Array.of(2));
});

test('slow computes longer for a larger row, wherever it is in the batch', async () => {
  const session = await load(models.slow());
  const time = async (x: number[]) => {
    const before = process.cpuUsage();
    await session.run({ x: f32([x.length, 1], x) });
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  await time([1]);
  const short = await time([5]);
  const long = await time([0, 200, 0]);
  assert.ok(long > 4 * short, `${long} µs of CPU are not well above ${short} µs`);
});

test('unknownOperator decodes and does not load', async () => {
  await assert.rejects(load(models.unknownOperator()), /NoSuchOperator/);
});

test('zipMap gives its label, and its probabilities are no tensor', async () => {
  const session = await load(models.zipMap());
  assert.deepEqual(
    session.outputMetadata.map((output) => output.isTensor),
    [true, false],
  );
  const result = await session.run({ x: f32([1, 2], [0, 1]) }, ['label']);
  assert.deepEqual(result.label?.data, BigInt64Array.of(1n));
  await assert.rejects(session.run({ x: f32([1, 2], [0, 1]) }), /Non tensor type/);
});

test('externalWeights loads from a folder with its data beside it, and not without', async () => {
  const { model, data, location } = models.externalWeights();
  const folder = models.writeModel(dir, 'external', model);
  await assert.rejects(load(join(folder, 'model.onnx')));
  writeFileSync(join(folder, location), data);
  assert.deepEqual(await run(join(folder, 'model.onnx'), { x: f32([1, 2], [1, 2]) }), {
    y: { dims: [1, 2], data: [10, 20] },
  });
});

test('writeModel lays out a model folder', () => {
  const folder = models.writeModel(dir, 'iris/2', Uint8Array.of(1, 2), { name: 'iris' }, { rows: [] });
  assert.equal(folder, join(dir, 'iris', '2'));
  assert.deepEqual([...readFileSync(join(folder, 'model.onnx'))], [1, 2]);
  assert.equal(readFileSync(join(folder, 'model.json'), 'utf8'), '{"name":"iris"}');
  assert.equal(readFileSync(join(folder, 'golden.json'), 'utf8'), '{"rows":[]}');
});
