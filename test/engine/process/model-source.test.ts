import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSource, type WeightUse } from '../../../functions/engine/process/model-source.ts';
import { openSession, type Session } from '../../../functions/engine/process/session.ts';
import { inspectModel } from '../../../functions/onnx/inspect.ts';
import { BENCH_MODELS } from '../../../scripts/bench-models.ts';
import { createRandom } from '../../../scripts/fuzz/random.ts';
import { GRAPHS } from '../../helpers/graphs/index.ts';
import { COLUMNS, EXTERNAL, LARGE_WEIGHTS, layers, manyAxes, partlyExternal } from '../../helpers/large-weights.ts';
import { externalWeights, identity, unknownOperator } from '../../helpers/models.ts';
import { float32 } from '../../helpers/tensors.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'model-source-'));
after(() => rmSync(folder, { recursive: true }));
let folders = 0;

function write(bytes: Uint8Array): string {
  const below = join(folder, String(++folders));
  mkdirSync(below);
  writeFileSync(join(below, 'model.onnx.data'), EXTERNAL);
  writeFileSync(join(below, 'model.onnx'), bytes);
  return join(below, 'model.onnx');
}

const open = (path: string, weights: WeightUse): Promise<Session> =>
  openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'], weights });
/** The session of the file as it is. */
const openFile = (path: string): Promise<Session> =>
  openSession(path, { intraOpThreads: 1, executionProviders: ['cpu'], weights: { copied: 'to compare' } });

function rows(count: number) {
  const random = createRandom(4);
  const data = Float32Array.from({ length: count * COLUMNS }, () => random.int(2000) / 1000 - 1);
  return { slot: 0, dtype: 'float32' as const, dims: [count, COLUMNS], data };
}

/** Compares the outputs of two sessions: equal within 1e-5 of the larger of 1 and the number. */
async function assertEqual(session: Session, expected: Session, feeds: Parameters<Session['run']>[0], title: string) {
  const [got, want] = [await session.run(feeds), await expected.run(feeds)];
  for (const [slot, { data, dims }] of want.entries()) {
    assert.deepEqual([...got[slot]!.dims], [...dims], title);
    for (const [i, number] of [...data].entries()) {
      const [a, b] = [Number(got[slot]!.data[i]), Number(number)];
      const isNear =
        Object.is(a, b) || got[slot]!.data[i] === number || Math.abs(a - b) <= 1e-5 * Math.max(1, Math.abs(b));
      assert.ok(isNear, `${title}: output ${slot}, element ${i}: ${a} instead of ${b}`);
    }
  }
}

for (const [name, model] of Object.entries(LARGE_WEIGHTS)) {
  test(`${name}: the weights are mapped, and the outputs are those of the file`, async () => {
    const path = write(model());
    const expected = await openFile(path);
    assert.equal(expected.weights.use, 'copied');
    for (const use of ['packed', 'mapped'] as const) {
      const session = await open(path, use);
      assert.deepEqual({ ...session.weights, mappedBytes: 0 }, { use, mappedBytes: 0 });
      assert.ok(session.weights.mappedBytes >= 4096);
      assert.deepEqual(session.signature, expected.signature);
      assert.deepEqual(session.patched, expected.patched);
      for (const count of [1, 5]) await assertEqual(session, expected, [rows(count)], `${name}, ${use}, ${count} rows`);
    }
  });
}

for (const { name, bytes } of BENCH_MODELS) {
  test(`${name} of the benchmarks has the same outputs, mapped and packed`, async () => {
    const path = write(bytes());
    const expected = await openFile(path);
    const [input] = expected.signature.inputs;
    const dims = input!.shape.map((size) => (size < 0 ? 3 : size));
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
    for (const use of ['packed', 'mapped'] as const) {
      const session = await open(path, use);
      assert.equal(session.weights.use, use);
      await assertEqual(session, expected, [{ slot: 0, dtype: 'float32', dims, data }], `${name}, ${use}`);
    }
  });
}

test('the file of a tree ensemble and of a small model is read as it is: there is nothing to map', async () => {
  const trees = GRAPHS.filter(({ name }) => /RandomForest|TreeEnsemble|IsolationForest/.test(name));
  assert.ok(trees.length >= 2);
  for (const bytes of [identity(), ...trees.map(({ model }) => model())]) {
    const path = write(bytes);
    const { model, weights } = await readSource(path, inspectModel(path), 'mapped');
    assert.ok(model === path || model.length > 0);
    assert.equal(weights.use, 'copied');
    assert.match(weights.why!, /less than half of the file/);
  }
});

test('external data that a model has already is mapped by its path', async () => {
  const { model, data, location } = externalWeights('w.bin');
  const path = write(model);
  writeFileSync(join(path, '..', location), data);
  const session = await open(path, 'mapped');
  assert.deepEqual(session.weights, { use: 'mapped', mappedBytes: 8 });
  assert.deepEqual(session.external, ['w.bin']);
  assert.deepEqual((await session.run([{ slot: 0, ...float32([1, 2], [1, 2]) }]))[0]!.data, Float32Array.of(10, 20));
});

test('a file behind links is mapped, as in the volumes of Kubernetes', async () => {
  const path = write(layers());
  const volume = join(folder, 'volume');
  mkdirSync(join(volume, '..2026'), { recursive: true });
  renameSync(path, join(volume, '..2026', 'model.onnx'));
  symlinkSync('..2026', join(volume, '..data'));
  symlinkSync('..data/model.onnx', join(volume, 'model.onnx'));
  const session = await open(join(volume, 'model.onnx'), 'mapped');
  assert.equal(session.weights.use, 'mapped');
  await session.run([rows(1)]);
});

test('a file with a name that is not plain ASCII is mapped', async () => {
  const path = write(layers());
  const odd = join(path, '..', 'modèle 模型 "1".onnx');
  renameSync(path, odd);
  assert.equal((await open(odd, 'mapped')).weights.use, 'mapped');
});

test('weights that onnxruntime does not take as external data are copied, and the reason is reported', async () => {
  const session = await open(write(manyAxes()), 'packed');
  assert.equal(session.weights.use, 'copied');
  assert.match(session.weights.why!, /onnxruntime does not map them: .*external/is);
  assert.equal((await session.run([rows(1)]))[0]!.data.length, COLUMNS);
});

test('a model that onnxruntime refuses fails with the reason of the file itself', async () => {
  await assert.rejects(
    open(write(unknownOperator()), 'mapped'),
    /NoSuchOperator of the domain ai\.onnx is not in opset/,
  );
});

for (const [title, location] of [
  ['a parent folder', '../secret.bin'],
  ['a folder below and two up', 'a/../../secret.bin'],
  ['an absolute path', join(folder, 'secret.bin')],
  ['a link out of the folder', 'link.bin'],
] as const) {
  test(`a model with mapped weights and external data at ${title} is refused`, async () => {
    writeFileSync(join(folder, 'secret.bin'), EXTERNAL);
    const path = write(partlyExternal(location));
    mkdirSync(join(path, '..', 'a'));
    symlinkSync('../secret.bin', join(path, '..', 'link.bin'));
    for (const use of ['packed', 'mapped'] as const) await assert.rejects(open(path, use), /outside|absolute|escapes/i);
  });
}
