import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type BuildNames, firstService } from '../../../scripts/cloud-build/first-service.ts';

const ROOT = join(import.meta.dirname, '../../..');
const NAMES: BuildNames = {
  service: 'fraud',
  revision: 'fraud-0123456-aaaaaaaa',
  image: 'us-central1-docker.pkg.dev/my-project/ml/ml-model@sha256:abc',
  project: 'my-project',
  account: '',
  model: '',
};
const ACCOUNT = 'runner@my-project.iam.gserviceaccount.com';

function made(file: string, names: Partial<BuildNames> = {}) {
  const { metadata, spec } = JSON.parse(firstService(readFileSync(join(ROOT, file), 'utf8'), { ...NAMES, ...names }));
  return { metadata, template: spec.template, containers: spec.template.spec.containers };
}

for (const file of globSync('service*.yaml', { cwd: ROOT })) {
  test(`${file} gets the build's names, and the image in the container that serves`, () => {
    const { metadata, template, containers } = made(file);
    assert.equal(metadata.name, 'fraud');
    assert.equal(template.metadata.name, 'fraud-0123456-aaaaaaaa');
    assert.equal(template.metadata.annotations['run.googleapis.com/execution-environment'], 'gen2');
    assert.equal(containers[0].image, NAMES.image);
    assert.equal(containers[0].startupProbe.httpGet.path, '/ready');
    assert.doesNotMatch(JSON.stringify(template), /PROJECT_ID|REGION/);
  });
}

test('another container keeps its own image', () => {
  assert.match(made('cloud-run/prometheus.yaml').containers[1].image, /cloud-run-gmp-sidecar/);
});

test('an account that is given comes in place of the file, else the file decides', () => {
  assert.equal(made('service.yaml').template.spec.serviceAccountName, undefined);
  assert.equal(made('service.yaml', { account: ACCOUNT }).template.spec.serviceAccountName, ACCOUNT);
  const own = 'ml-model@my-project.iam.gserviceaccount.com';
  assert.equal(made('cloud-run/bucket.yaml').template.spec.serviceAccountName, own);
  assert.equal(made('cloud-run/bucket.yaml', { account: ACCOUNT }).template.spec.serviceAccountName, ACCOUNT);
});

test('a file in which no container has ports, or two, is refused', () => {
  const text = readFileSync(join(ROOT, 'service.yaml'), 'utf8');
  const none = text.replace(/ {10}ports:\n.*\n.*\n/, '');
  assert.throws(() => firstService(none, NAMES), /expected one container with ports in the service file, got 0/);
});

test('MODEL_NAME is added where a build has one, and left as the file has it', () => {
  const wanted = { name: 'MODEL_NAME', value: 'fraud' };
  assert.equal(made('service.yaml').containers[0].env, undefined);
  assert.deepEqual(made('service.yaml', { model: 'fraud' }).containers[0].env, [wanted]);
  assert.deepEqual(made('cloud-run/bucket.yaml', { model: 'fraud' }).containers[0].env.at(-1), wanted);
  const text = readFileSync(join(ROOT, 'cloud-run/gpu.yaml'), 'utf8').replace('EXECUTION_PROVIDERS', 'MODEL_NAME');
  const { env } = JSON.parse(firstService(text, { ...NAMES, model: 'fraud' })).spec.template.spec.containers[0];
  assert.deepEqual(env[0], { name: 'MODEL_NAME', value: 'cuda,cpu' });
});
