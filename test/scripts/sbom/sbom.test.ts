import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { buildIfNeeded } from '../../../scripts/build-if-needed.ts';
import { type Bom, foldersOf } from '../../../scripts/sbom/bom.ts';
import { run } from '../../system/program.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SCRIPT = join(ROOT, 'scripts/sbom.ts');
const CUDA = 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so';

before(() => buildIfNeeded('ctimeMs'));

/** The folder of an image with the build's bill, and these files; runs the script on it. */
async function complete(t: TestContext, files: readonly string[]): Promise<{ bill: Bom; licences: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'sbom-'));
  t.after(() => rmSync(folder, { recursive: true }));
  cpSync(join(ROOT, 'dist/sbom.cdx.json'), join(folder, 'sbom.cdx.json'));
  for (const name of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), '');
  }
  const { code, stderr } = await run(process.execPath, [SCRIPT, folder, folder]);
  assert.equal(code, 0, stderr);
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  return { bill: JSON.parse(read('sbom.cdx.json')), licences: read('THIRD_PARTY_LICENSES.txt') };
}

test('the build lists the packages inside its bundles, with their licences; packages outside are not among them', () => {
  const folders = foldersOf(JSON.parse(readFileSync(join(ROOT, 'dist/sbom.cdx.json'), 'utf8')));
  for (const name of ['zod', 'winston', '@redis/client', '@google-cloud/storage', 'swagger-ui-dist'])
    assert.ok(folders.includes(`node_modules/${name}`), name);
  for (const name of ['onnxruntime-node', '@google-cloud/functions-framework', 'esbuild'])
    assert.ok(!folders.includes(`node_modules/${name}`), name);
  assert.match(readFileSync(join(ROOT, 'dist/THIRD_PARTY_LICENSES.txt'), 'utf8'), /^zod \d/m);
});

test('the bill of the image has the packages of its node_modules as well as those of the bundles, and all licences', async (t) => {
  const { bill, licences } = await complete(t, ['node_modules/onnxruntime-node/package.json']);
  const folders = foldersOf(bill);
  assert.ok(folders.includes('node_modules/onnxruntime-node') && folders.includes('node_modules/zod'));
  assert.ok(!folders.includes('node_modules/onnxruntime-common'));
  assert.match(licences, /^onnxruntime-node \d/m);
  assert.match(licences, /^zod \d/m);
  assert.ok(!bill.components.some(({ purl }) => purl.startsWith('pkg:nuget/')));
});

test("the bill of the GPU's image has onnxruntime's libraries for CUDA, of the same version", async (t) => {
  const { bill } = await complete(t, ['node_modules/onnxruntime-node/package.json', CUDA]);
  const version = bill.components.find(({ name }) => name === 'onnxruntime-node')?.version;
  const libraries = bill.components.find(({ purl }) => purl.startsWith('pkg:nuget/'));
  assert.equal(libraries?.purl, `pkg:nuget/Microsoft.ML.OnnxRuntime.Gpu.Linux@${version}`);
});
