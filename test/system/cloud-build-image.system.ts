import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { BUILT_IN, runStep } from '../helpers/google-cloud/cloud-build.ts';
import { buildImage, docker, IMAGE, ROOT } from '../helpers/image.ts';

/** The steps that run the image, with a network of the tests' own in place of the one of a build's steps. */
const NETWORK = 'cloud-build-test';
const TRIED = 'us-central1-docker.pkg.dev/my-project/ml/ml-model';
const NAMES = [`${TRIED}:${BUILT_IN.COMMIT_SHA}`, `${TRIED}:bare`];

before(() => {
  buildImage();
  buildImage(NAMES[1], ['--build-arg', 'MODELS=']);
  docker('network', 'create', NETWORK);
});
afterEach(() => {
  if (docker('ps', '--all', '--quiet', '--filter', 'name=^candidate$') !== '') docker('rm', '--force', 'candidate');
});
after(() => {
  docker('network', 'rm', NETWORK);
  docker('rmi', ...NAMES);
});

/** Runs a step on an image under the name that the build gives it, with a Node that a machine without a registry has. */
function step(id: string, values: Record<string, string> = {}, image = IMAGE) {
  docker('tag', image, NAMES[0]!);
  return runStep(id, values, { NETWORK, WORKSPACE: ROOT, NODE_IMAGE: 'node:24' });
}

test('the image is tried with its own model, hardened', async () => {
  const started = await step('run-image');
  assert.equal(started.code, 0, started.stderr);
  const { HostConfig } = JSON.parse(docker('inspect', 'candidate'))[0];
  assert.deepEqual([HostConfig.ReadonlyRootfs, HostConfig.CapDrop], [true, ['ALL']]);
  const { code, stdout, stderr } = await step('test-image');
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /: 6 of 6 rows came out right, /);
});

test('an image without models is tried with the folder of the golden rows, whatever MODEL_NAME is for the service', async () => {
  const values = { _MODELS: '', _MODEL_NAME: 'fraud' };
  const started = await step('run-image', values, NAMES[1]);
  assert.equal(started.code, 0, started.stderr);
  const { code, stdout, stderr } = await step('test-image', values, NAMES[1]);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /: 6 of 6 rows came out right, /);
});

test('an image without models, and no model beside the golden rows: the build says so before it runs anything', async () => {
  const { code, stderr } = await step('run-image', { _MODELS: '', _GOLDEN: 'test/golden.json' }, NAMES[1]);
  assert.equal(code, 1);
  assert.match(stderr, /expected a model beside test\/golden\.json, as _MODELS is empty/);
});

test('an image whose smoke test fails fails the build, which shows what the image logged', async () => {
  const started = await step('run-image');
  assert.equal(started.code, 0, started.stderr);
  // Once with the right rows, which waits until it is ready.
  assert.equal((await step('test-image')).code, 0);
  const { code, stdout } = await step('test-image', { _GOLDEN: 'package.json' });
  assert.equal(code, 1);
  assert.match(stdout, /The log of the image:\n.*listening on/s);
});
