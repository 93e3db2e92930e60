import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { base64Of, pictureIn, refusalOf } from '../../../functions/page/media/picture-file.ts';
import { REFS } from '../../text/refs.ts';

const bytesOf = (name: string): Buffer => readFileSync(join(REFS, 'images', name));

test('a picture in the features of a body has its media type by its first bytes', async () => {
  for (const [name, type] of [
    ['jpeg-baseline.jpg', 'image/jpeg'],
    ['png-palette.png', 'image/png'],
    ['gif-three-frames.gif', 'image/gif'],
    ['webp-lossy.webp', 'image/webp'],
  ] as const) {
    const base64 = bytesOf(name).toString('base64');
    for (const features of [base64, [base64], { image: base64 }, { image: [base64] }]) {
      const file = pictureIn(features);
      assert.equal(file?.type, type, name);
      assert.deepEqual(Buffer.from(await file.arrayBuffer()), bytesOf(name));
    }
  }
  assert.equal(pictureIn(Buffer.from('\0\0\0\x1cftypavif\0\0').toString('base64'))?.type, 'image/avif');
});

test('features without a picture have none', () => {
  for (const features of [undefined, null, '', 'not base64!', [], {}, 1, [1, 2]]) {
    assert.equal(pictureIn(features), undefined, JSON.stringify(features));
  }
});

test('base64 has every byte, whatever the length', () => {
  for (const length of [0, 1, 2, 0x8000, 0x8001, 200_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31) % 256);
    assert.equal(base64Of(bytes), Buffer.from(bytes).toString('base64'), String(length));
  }
});

test('a file that the server does not take is refused, with what it takes', () => {
  const refuse = (name: string, type: string, size: number) => refusalOf({ name, type, size }, 1000);
  assert.equal(refuse('a.jpg', 'image/jpeg', 1000), undefined);
  assert.equal(
    refuse('a.jpg', 'image/jpeg', 1001),
    'a.jpg has 1.0 kB, and the server takes 1.0 kB at most: choose a smaller picture.',
  );
  assert.match(
    refuse('a.svg', 'image/svg+xml', 1)!,
    /^a\.svg is image\/svg\+xml: choose a JPEG, PNG, GIF, WebP or AVIF/,
  );
  assert.match(refuse('a', '', 1)!, /^a is no picture: choose/);
  assert.match(refuse('a.png', 'image/png', 0)!, /^a\.png is empty/);
});
