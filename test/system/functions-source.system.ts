import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { filesForUpload } from '../helpers/google-cloud/upload.ts';
import { npm } from './npm.ts';
import { ROOT, type Served, serve } from './program.ts';

/** What `gcloud run deploy --source . --function predict` does: uploads the sources, and lets Google's buildpack build them. */
const files = filesForUpload(ROOT);
const folder = mkdtempSync(join(tmpdir(), 'functions-source-'));
let server: Served | undefined;

before(async () => {
  for (const file of files) {
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    cpSync(join(ROOT, file), join(folder, file));
  }
  // The buildpack's own steps. It sets NODE_ENV so that what the build needs is installed, too.
  const { stderr } = await npm(folder, 'ci --prefer-offline --no-audit --no-fund', { NODE_ENV: 'development' });
  assert.equal(stderr, '', 'npm ci prints no warning');
  await npm(folder, 'run gcp-build');
  await npm(folder, 'prune --omit=dev --no-audit --no-fund');
  const framework = join(folder, 'node_modules/.bin/functions-framework');
  server = await serve(
    [framework, '--target', 'predict'],
    { NODE_ENV: 'production', K_SERVICE: 'ml-function' },
    folder,
  );
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

test('what is uploaded is what the build needs, and nothing that was built or is a secret', () => {
  for (const file of ['package.json', 'package-lock.json', '.npmrc', 'scripts/build.ts', 'models/iris/model.onnx'])
    assert.ok(files.includes(file), file);
  const odd = /^(node_modules|dist|test|k8s|cloud-run|\.git)\/|^\.env|\.(pem|key|log)$|^service\.yaml$/;
  assert.deepEqual(
    files.filter((file) => odd.test(file)),
    [],
  );
});

test('gcp-build makes the file that main names, and what only the build needs is gone', () => {
  const { main, devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  assert.ok(existsSync(join(folder, main)), main);
  // Some of them are what a library of the server depends on as well.
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  for (const name of Object.keys(devDependencies).filter((each) => packages[`node_modules/${each}`].dev === true))
    assert.ok(!existsSync(join(folder, 'node_modules', name)), name);
});

test('the function predicts an iris', async () => {
  const response = await fetch(`http://localhost:${server!.port}/predict`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"features":[6.3,2.9,5.6,1.8]}',
  });
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { label: string }).label, 'virginica');
});
