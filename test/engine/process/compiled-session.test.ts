import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stampOfFile } from '../../../functions/engine/process/file-stamp.ts';
import type { CompiledFiles } from '../../../functions/engine/process/model-source.ts';
import { openSession, type Session } from '../../../functions/engine/process/session.ts';
import { findDifference } from '../../../functions/tensor/compare.ts';
import type { Tensor } from '../../../functions/tensor/tensor.ts';
import { BENCH_MODELS } from '../../../scripts/bench-models.ts';
import { GRAPHS } from '../../helpers/graphs/index.ts';
import { EXTERNAL, LARGE_WEIGHTS, layers } from '../../helpers/large-weights.ts';
import { identity } from '../../helpers/models.ts';

process.env.ORT_DISABLE_TELEMETRY = '1';
const folder = mkdtempSync(join(tmpdir(), 'compiled-session-'));
after(() => rmSync(folder, { recursive: true }));
let folders = 0;

const OPTIONS = { intraOpThreads: 1, executionProviders: ['cpu'], weights: 'packed' } as const;

function write(bytes: Uint8Array): string {
  const below = join(folder, String(++folders));
  mkdirSync(below);
  writeFileSync(join(below, 'model.onnx.data'), EXTERNAL);
  writeFileSync(join(below, 'model.onnx'), bytes);
  return join(below, 'model.onnx');
}

/** Compiles a model beside its file. */
async function compile(path: string): Promise<{ plain: Session; compiled: CompiledFiles; data: string }> {
  const [graph, data] = [`${path}.graph`, `${path}.weights`];
  const plain = await openSession(path, { ...OPTIONS, compileTo: { graph, data } });
  const stamps = [graph, data].map((file) => [file, stampOfFile(statSync(file, { bigint: true }))] as const);
  return { plain, compiled: { graph, stamps }, data };
}

/** Rows for the first input, with 3 for each open size. */
function feedsFor({ signature }: Session, rows = 3) {
  const dims = signature.inputs[0]!.shape.map((size) => (size < 0 ? rows : size));
  const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i));
  return [{ slot: 0, dtype: 'float32' as const, dims, data }];
}

async function assertEqual(compiled: Session, plain: Session): Promise<void> {
  assert.deepEqual(compiled.signature, plain.signature);
  assert.deepEqual(compiled.patched, plain.patched);
  for (const rows of [1, 5]) {
    const feeds = feedsFor(plain, rows);
    const [got, want] = [await compiled.run(feeds), await plain.run(feeds)];
    for (const [slot, output] of want.entries()) {
      assert.equal(findDifference(output as Tensor, got[slot]! as Tensor, 1e-5), undefined);
    }
  }
}

const models = [
  ...Object.entries(LARGE_WEIGHTS).map(([name, bytes]) => ({ name, bytes })),
  ...BENCH_MODELS.map(({ name, bytes }) => ({ name: `${name} of the benchmarks`, bytes })),
].filter(({ name }) => name !== 'subgraphs of If and Loop');

for (const { name, bytes } of models) {
  test(`${name}: the compiled model has the signature and the outputs of the file`, async () => {
    const path = write(bytes());
    const { plain, compiled } = await compile(path);
    assert.equal(plain.weights.use, 'packed');
    const session = await openSession(path, { ...OPTIONS, compiled });
    assert.deepEqual(session.weights, { use: 'compiled', mappedBytes: plain.weights.mappedBytes });
    await assertEqual(session, plain);
  });
}

test('a compiled model that onnxruntime has written and refuses is not used: it names weights of two branches alike', async () => {
  const path = write(LARGE_WEIGHTS['subgraphs of If and Loop']!());
  const { plain, compiled } = await compile(path);
  const session = await openSession(path, { ...OPTIONS, compiled });
  assert.equal(session.weights.use, 'packed');
  assert.match(session.weights.why!, /the compiled model does not load: .*not unique/is);
  await assertEqual(session, plain);
});

test('a model without large weights is loaded as it is, even if there is a compiled one', async () => {
  const trees = GRAPHS.find(({ name }) => /TreeEnsemble/.test(name))!;
  for (const bytes of [identity(), trees.model()]) {
    const compiled = { graph: join(folder, 'none'), stamps: [] };
    const session = await openSession(write(bytes), { ...OPTIONS, compiled });
    assert.equal(session.weights.use, 'copied');
  }
});

test('mapped weights are not replaced by a compiled model', async () => {
  const path = write(layers());
  const { compiled } = await compile(path);
  assert.equal((await openSession(path, { ...OPTIONS, weights: 'mapped', compiled })).weights.use, 'mapped');
});

for (const [what, damage] of [
  ['is cut short', (file: string) => truncateSync(file, 4096)],
  ['was written to', (file: string) => writeFileSync(file, new Uint8Array(statSync(file).size))],
  ['is gone', (file: string) => rmSync(file)],
] as const) {
  for (const which of ['graph', 'data'] as const) {
    test(`a compiled model whose ${which} ${what} is not used, and the reason is reported`, async () => {
      const path = write(layers());
      const { plain, compiled, data } = await compile(path);
      damage(which === 'graph' ? compiled.graph : data);
      const session = await openSession(path, { ...OPTIONS, compiled });
      assert.equal(session.weights.use, 'packed');
      assert.match(session.weights.why!, /the compiled model does not load: .*(has changed|is gone)/);
      await assertEqual(session, plain);
    });
  }
}

test('a disk that onnxruntime cannot write to is an error of the load', async () => {
  const path = write(layers());
  const compileTo = { graph: join(folder, 'missing', 'graph'), data: join(folder, 'missing', 'data') };
  await assert.rejects(openSession(path, { ...OPTIONS, compileTo }), /open file .* failed/);
});

test('a session reads the compiled model from its files when they are removed', async () => {
  const path = write(layers());
  const { plain, compiled, data } = await compile(path);
  const session = await openSession(path, { ...OPTIONS, compiled });
  for (const file of [compiled.graph, data]) rmSync(file);
  await assertEqual(session, plain);
});
