/**
 * `node scripts/pin-images.ts --write`: gives each image of others in the deployment files the digest that its tag has now, `name:tag@sha256:…`,
 * so that nobody can replace it by moving the tag. Without `--write` it lists the images, and changes nothing. A digest that is there
 * already is replaced by the newer one. .github/renovate.json has Renovate do the same with each update.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCommandLine } from './command-line.ts';
import { findImages, IMAGE_FILES, pinImages } from './pin-images/references.ts';
import { resolveDigest } from './pin-images/registry.ts';

const ROOT = join(import.meta.dirname, '..');
const USAGE = `node scripts/pin-images.ts: lists the images of others in the deployment files, with their digests.

Usage: node scripts/pin-images.ts [--write]

  --write   gives each image the digest that its tag has now, in the files`;

const { values } = readCommandLine(USAGE, { write: { type: 'boolean', default: false } });

const texts = new Map(
  globSync(IMAGE_FILES, { cwd: ROOT })
    .sort()
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]),
);
for (const [file, text] of texts) {
  for (const { image, digest } of findImages(text)) console.log(`${file}: ${image} ${digest ?? 'not pinned'}`);
}
if (values.write) {
  const images = new Set([...texts.values()].flatMap(findImages).map(({ image }) => image));
  const digests = new Map<string, string>();
  for (const image of images) digests.set(image, await resolveDigest(image));
  for (const [file, text] of texts) writeFileSync(join(ROOT, file), pinImages(text, digests));
  console.log(`${digests.size} images pinned: build, test and commit`);
}
