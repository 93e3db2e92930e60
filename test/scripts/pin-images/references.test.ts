import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { findImages, IMAGE_FILES, pinImages } from '../../../scripts/pin-images/references.ts';

const ROOT = join(import.meta.dirname, '../../..');
const DIGEST = `sha256:${'a'.repeat(64)}`;
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

/** The values of `image` anywhere in a document, and the names of Cloud Build's steps. */
function namedImages(value: unknown, inSteps = false): string[] {
  if (Array.isArray(value)) return value.flatMap((each) => namedImages(each, inSteps));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    if (typeof each === 'string') return key === 'image' || (inSteps && key === 'name') ? [each] : [];
    return namedImages(each, key === 'steps');
  });
}

test('every image of others in the YAML files is one that is pinned: ours are built here', () => {
  const files = globSync(['*.yaml', '*.yml', '{cloud-run,k8s,functions}/**/*.{yaml,yml}'], { cwd: ROOT });
  const covered = globSync(IMAGE_FILES, { cwd: ROOT });
  const others = files.flatMap((file) => {
    const documents = parseAllDocuments(read(file)).map((document) => document.toJS());
    const named = namedImages(documents).filter((image) => !/(^|\/)(ml-model(-gpu)?|__NAME__)(:|@|$)/.test(image));
    if (named.length > 0) assert.ok(covered.includes(file), file);
    const found = findImages(read(file)).map(({ image, digest }) =>
      digest === undefined ? image : `${image}@${digest}`,
    );
    assert.deepEqual(found, named, file);
    return named;
  });
  assert.ok(others.length > 12, String(others.length));
});

test('every base image of the Dockerfile, and the image that a script runs, is one that is pinned', () => {
  const bases = Array.from(
    read('Dockerfile.ml').matchAll(/^ARG \w+_IMAGE=([^$\s]+)$/gm),
    ([, image]) => image!.split('@')[0],
  );
  assert.equal(bases.length, 3);
  assert.deepEqual(
    findImages(read('Dockerfile.ml')).map(({ image }) => image),
    bases,
  );
  assert.deepEqual(
    findImages(read('scripts/cloud-build/test-image.sh')).map(({ image }) => image),
    ['node:24.21.0-trixie'],
  );
});

test('a digest is added or replaced behind the tag; addresses, comments and other words stay', () => {
  const text = [
    '# ARG A_IMAGE=node:24-trixie-slim',
    'ARG A_IMAGE=node:24-trixie-slim',
    `    name: gcr.io/cloud-builders/docker@sha256:${'b'.repeat(64)}`,
    '  image: gcr.io/google.com/cloudsdktool/google-cloud-cli:slim',
    '  image: node:22',
    'REDIS_URL: redis://redis:6379',
    'RUN node dist/server.js',
  ];
  const digests = new Map(
    ['node:24-trixie-slim', 'gcr.io/cloud-builders/docker', 'redis:6379'].map((one) => [one, DIGEST]),
  );
  assert.deepEqual(pinImages(text.join('\n'), digests).split('\n'), [
    '# ARG A_IMAGE=node:24-trixie-slim',
    `ARG A_IMAGE=node:24-trixie-slim@${DIGEST}`,
    `    name: gcr.io/cloud-builders/docker@${DIGEST}`,
    ...text.slice(3),
  ]);
});

test('pinned again with the same digests, a file stays as it is', () => {
  for (const file of globSync(IMAGE_FILES, { cwd: ROOT })) {
    const digests = new Map(findImages(read(file)).map(({ image }) => [image, DIGEST]));
    const once = pinImages(read(file), digests);
    assert.equal(pinImages(once, digests), once, file);
    assert.ok(
      findImages(once).every(({ digest }) => digest === DIGEST),
      file,
    );
  }
});
