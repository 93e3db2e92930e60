import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkImages, OTHERS } from '../../../../scripts/deploy-check/rules/images.ts';
import { check, cloudRun, compose, deployment } from '../fixture.ts';

const image = (name: string, more = ''): string => deployment(more).replace('ml-model:1', name);
const GPU = "resources: { limits: { nvidia.com/gpu: '1' } }";
const version = (label: string, name: string, more = ''): string =>
  image(name, more).replace(
    'labels: { app: server }',
    `labels: { app: server, app.kubernetes.io/version: '${label}' }`,
  );
const replaced = (name: string, more = ''): string =>
  `---\n{ apiVersion: kustomize.config.k8s.io/v1beta1, kind: Kustomization, images: [{ name: ${name}${more} }] }`;

const GOOD: [title: string, yaml: string][] = [
  ['in a repository', cloudRun()],
  ['by digest', image('eu/mine/ml-model@sha256:abc')],
  ['a variable of docker-compose', compose().replace('ml-model:latest', "'\u0024{IMAGE:-ml-model:latest}'")],
  ['a local image', compose()],
  ['the image of target gpu for a GPU', image('ml-model:gpu', GPU)],
  ['a version of it', image('r/ml-model:1-gpu', GPU)],
  ['a Redis of a version', image('redis:8-alpine')],
  ['what kustomize replaces', deployment() + replaced('ml-model')],
  ['that of the version in a label', version('1', 'r/ml-model:1')],
  ['that of the version in a label, for a GPU', version('1', 'r/ml-model:1-gpu', GPU)],
  ['one by digest, whatever the version', version('1', 'r/ml-model:1@sha256:abc')],
  ['a Redis beside our version', version('1', 'redis:8-alpine')],
];

for (const [title, yaml] of GOOD) test(`images may be ${title}`, () => assert.deepEqual(check(checkImages, yaml), []));

const BAD: [title: string, yaml: string, line: RegExp][] = [
  ['an image that nobody knows', image('ml-modle:1'), /image: ml-modle:1 is neither ours nor one of redis/],
  ['one without a tag in an overlay', image('ml-model'), /image: ml-model has no tag/],
  ['the image without CUDA for a GPU', image('ml-model:1', GPU), /ml-model:1, but a GPU needs the image of target gpu/],
  ['the image with CUDA for no GPU', image('ml-model:gpu'), /ml-model:gpu, but the container has no GPU/],
  [
    'a version in a label that is not the tag',
    version('1', 'r/ml-model:2'),
    /labels\.app\.kubernetes\.io\/version: app\.kubernetes\.io\/version is 1, and the image is r\/ml-model:2/,
  ],
  [
    'an image to replace that nothing has',
    deployment() + replaced('server'),
    /images\[0\]\.name: server is neither ours nor one of redis/,
  ],
  [
    'another image in place of ours',
    deployment() + replaced('ml-model', ', newName: R/ml-modle'),
    /images\[0\]\.newName: R\/ml-modle is neither ours/,
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
  assert.deepEqual(check(checkImages, image('ml-model'), false), []);
});

test('every image of others says what it is for', () => {
  for (const [name, use] of Object.entries(OTHERS)) assert.ok(use.length > 10, name);
});
