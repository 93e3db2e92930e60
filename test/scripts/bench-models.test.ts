import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import type * as Ort from 'onnxruntime-node';
import { BENCH_MODELS, writeBenchModels } from '../../scripts/bench-models.ts';

let ort: typeof Ort;
let dir: string;
let folders: string[];
before(async () => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  ort = await import('onnxruntime-node');
  dir = mkdtempSync(join(tmpdir(), 'bench-'));
  folders = writeBenchModels(dir);
});
after(() => rmSync(dir, { recursive: true }));

const inputs: Record<string, [name: string, dims: number[]]> = {
  mlp: ['x', [3, 784]],
  'conv-small': ['image', [1, 3, 32, 32]],
  'conv-image': ['image', [1, 3, 224, 224]],
};

for (const { name, bytes } of BENCH_MODELS) {
  test(`${name} is the same bytes each time, at most 30 MB`, () => {
    const written = readFileSync(join(dir, name, 'model.onnx'));
    assert.ok(written.equals(bytes()));
    assert.ok(written.length < 30e6);
  });

  test(`${name} gives ten probabilities a row, which depend on the input`, async () => {
    const [input, dims] = inputs[name]!;
    const session = await ort.InferenceSession.create(join(dir, name, 'model.onnx'), { intraOpNumThreads: 1 });
    const run = async (fill: (i: number) => number) => {
      const length = dims.reduce((product, dim) => product * dim, 1);
      const tensor = new ort.Tensor(
        'float32',
        Float32Array.from({ length }, (_, i) => fill(i)),
        dims,
      );
      const { probabilities } = await session.run({ [input]: tensor });
      assert.deepEqual(probabilities?.dims, [dims[0], 10]);
      return Array.from(probabilities?.data as Float32Array);
    };
    const some = await run((i) => Math.sin(i));
    const total = some.reduce((sum, p) => sum + p, 0);
    assert.ok(Math.abs(total - dims[0]!) < 1e-4, `probabilities add up to ${total}`);
    assert.notDeepEqual(some, await run((i) => Math.cos(i / 7)));
  });
}

test('each model is in a folder of its name, with a manifest', () => {
  assert.deepEqual(
    folders.map((folder) => basename(folder)),
    Object.keys(inputs),
  );
  for (const folder of folders) {
    const manifest = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
    assert.equal(manifest.name, basename(folder));
  }
});
