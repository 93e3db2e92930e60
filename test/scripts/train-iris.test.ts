import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const committed = join(root, 'models', 'iris');

let dir: string;
let printed: string;
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'iris-'));
  printed = execFileSync(process.execPath, [join(root, 'scripts', 'train-iris.ts'), join(dir, 'made')], {
    encoding: 'utf8',
  });
});
after(() => rmSync(dir, { recursive: true }));

for (const file of ['model.onnx', 'model.json', 'golden.json']) {
  test(`training again gives ${file} with the committed bytes`, () => {
    assert.deepEqual(readFileSync(join(dir, 'made', file)), readFileSync(join(committed, file)));
  });
}

test('the model is right for at least 95 % of the rows it was not trained on, and says so', () => {
  const [, accuracy] = /^held-out accuracy (\d\.\d+) \(\d+ of 45 rows\)\n$/.exec(printed) ?? [];
  assert.ok(Number(accuracy) >= 0.95, printed);
});

test('the manifest names the inputs, the classes and an example of its own input', () => {
  const manifest = JSON.parse(readFileSync(join(committed, 'model.json'), 'utf8'));
  assert.deepEqual([manifest.name, manifest.version, manifest.output], ['iris', '1', 'label']);
  assert.deepEqual(manifest.classes, ['setosa', 'versicolor', 'virginica']);
  assert.equal(manifest.input.features.length, 4);
  assert.equal(manifest.example.features.length, 4);
});

test('ONNX Runtime gives what the trainer computed for the golden rows, which are of every class', async () => {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  const ort = await import('onnxruntime-node');
  const golden = JSON.parse(readFileSync(join(committed, 'golden.json'), 'utf8'));
  const session = await ort.InferenceSession.create(join(committed, 'model.onnx'), { intraOpNumThreads: 1 });
  assert.deepEqual(
    session.outputMetadata.map((output) => [
      output.name,
      output.isTensor && output.type,
      output.isTensor && output.shape,
    ]),
    [
      ['label', 'int64', ['N']],
      ['probabilities', 'float32', ['N', 3]],
    ],
  );
  const features = golden.rows.flatMap((row: { features: number[] }) => row.features);
  const { label, probabilities } = await session.run({
    features: new ort.Tensor('float32', features, [golden.rows.length, 4]),
  });
  const labels = golden.rows.map((row: { outputs: { label: number } }) => row.outputs.label);
  assert.deepEqual(Array.from(label?.data as BigInt64Array, Number), labels);
  assert.deepEqual(new Set(labels), new Set([0, 1, 2]));
  const expected: number[] = golden.rows.flatMap(
    (row: { outputs: { probabilities: number[] } }) => row.outputs.probabilities,
  );
  assert.equal(probabilities?.data.length, expected.length);
  expected.forEach((p, i) => {
    assert.ok(Math.abs(p - Number(probabilities?.data[i])) <= golden.tolerance, `probability ${i}: ${p}`);
  });
});

test('the data is complete: 150 rows, 50 of each class', () => {
  const [header, ...lines] = readFileSync(join(committed, 'iris.csv'), 'utf8').trim().split(/\r?\n/);
  assert.equal(header, '150,4,setosa,versicolor,virginica');
  assert.equal(lines.length, 150);
  for (const label of ['0', '1', '2']) assert.equal(lines.filter((line) => line.endsWith(`,${label}`)).length, 50);
});
