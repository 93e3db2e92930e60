import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImages, OTHERS } from '../../../../scripts/deploy-check/rules/images.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const image = (name: string, more = ''): string => deployment(more).replace('ml-model:1', name);
const GPU = "resources: { limits: { nvidia.com/gpu: '1' } }";
const replaced = (name: string, more = ''): string =>
  `---\n{ apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, images: [{ name: ${name}${more} }] }`;
const pushed = (name: string): string =>
  `---\n{ substitutions: { _REGION: us-central1, _REPOSITORY: ml }, steps: [{ name: docker, args: [push, '${name}'] }] }`;
const REPOSITORY = `\${_REGION}-docker.pkg.dev/$PROJECT_ID/$_REPOSITORY`;

const GOOD: [title: string, yaml: string][] = [
  [
    'one repository everywhere',
    cloudRun().replace('/P/', '/PROJECT_ID/') + pushed(`${REPOSITORY}/ml-model:$COMMIT_SHA`),
  ],
  ['a local image', compose()],
  [
    'one that is filled in, beside one that is not',
    image('europe-west1-docker.pkg.dev/mine/ml/ml-model:1') + pushed(`${REPOSITORY}/ml-model`),
  ],
  ['the image of target gpu for a GPU', image('ml-model:gpu', GPU)],
  ['a version of it', image('r/ml-model:1-gpu', GPU)],
  ['a Redis of a version', image('redis:8-alpine')],
  ['what kustomize replaces', deployment() + replaced('ml-model')],
];

for (const [title, yaml] of GOOD) test(`images may be ${title}`, () => assert.deepEqual(check(checkImages, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['an image that nobody knows', image('ml-modle:1'), /image: ml-modle is neither ours nor one of redis/],
  ['one without a tag in an overlay', image('ml-model'), /image: ml-model has no tag/],
  ['the image without CUDA for a GPU', image('ml-model:1', GPU), /ml-model:1, but a GPU takes the image of target gpu/],
  ['the image with CUDA for no GPU', image('ml-model:gpu'), /ml-model:gpu is for a GPU, and there is none/],
  [
    'two repositories that are filled in',
    `${image('eu/mine/ml-model:1')}---${image('us/mine/ml-model:1')}`,
    /repository us\/mine, but a\.yaml has eu\/mine/,
  ],
  [
    'an image to replace that nothing has',
    deployment() + replaced('server'),
    /images\[0\]\.name: no container has the image server/,
  ],
  [
    'another repository in an overlay',
    image('P/ml/ml-model:1') + replaced('P/ml/ml-model', ', newName: R/ml-model'),
    /newName: repository R, but/,
  ],
  [
    'a target that the Dockerfile has not',
    compose().replace('Dockerfile.ml', 'Dockerfile.ml, target: tpu'),
    /target: tpu is no image of the Dockerfile: it has cpu/,
  ],
];

for (const [title, yaml, line] of BAD) {
  test(`images are refused for ${title}`, () => {
    const found = check(checkImages, yaml);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, line);
  });
}

test('what is not deployed may leave the tag to overlays', () => {
  assert.deepEqual(check(checkImages, image('ml-model'), 'build'), []);
});

test('every image of others says what it is for', () => {
  for (const [name, use] of Object.entries(OTHERS)) assert.ok(use.length > 10, name);
});
