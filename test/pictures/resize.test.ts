import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { applyGeometry, checkGeometry, resizedSize } from '../../functions/pictures/geometry.ts';
import type { Pixels } from '../../functions/pictures/pixels.ts';
import { type Filter, resize } from '../../functions/pictures/resize.ts';

function pattern(width: number, height: number): Pixels {
  const data = new Uint8Array(width * height * 3);
  let i = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < 3; channel++) data[i++] = x * 7 + y * 13 + channel * 31 + x * y;
    }
  }
  return { data, width, height };
}

const digest = ({ data }: Pixels): string => createHash('sha256').update(data).digest('hex').slice(0, 16);

/** From, to, filter, and the beginning of the SHA-256 of what Pillow 12.3 makes of the same pattern. */
const PILLOW: [width: number, height: number, toWidth: number, toHeight: number, filter: Filter, sha256: string][] = [
  [97, 61, 40, 30, 'nearest', 'bb03dec85961c1a5'],
  [97, 61, 40, 30, 'lanczos', '40be3571af17073e'],
  [97, 61, 40, 30, 'bilinear', 'f5b5f6a523240c8a'],
  [97, 61, 40, 30, 'bicubic', '7f071ead0f307a9a'],
  [97, 61, 40, 30, 'box', '0b27669a81dea1df'],
  [97, 61, 40, 30, 'hamming', '85af15df470981a5'],
  [61, 97, 80, 128, 'nearest', '2e6075d42defbe18'],
  [61, 97, 80, 128, 'lanczos', '08e8db1da61de1e4'],
  [61, 97, 80, 128, 'bilinear', '70e6e7e4f0b2ff2a'],
  [61, 97, 80, 128, 'bicubic', '23ab62598d83a3f4'],
  [61, 97, 80, 128, 'box', '2e6075d42defbe18'],
  [61, 97, 80, 128, 'hamming', '9a9733fe77085efe'],
  [30, 20, 77, 55, 'nearest', '27efcd1891327ef4'],
  [30, 20, 77, 55, 'lanczos', '762c43a9eb91189b'],
  [30, 20, 77, 55, 'bilinear', '4090a0e8195d1674'],
  [30, 20, 77, 55, 'bicubic', '0f7f8e5a3c7e6412'],
  [30, 20, 77, 55, 'box', '1464b0618224ee51'],
  [30, 20, 77, 55, 'hamming', '93ff3688e3fe9ba1'],
  [97, 61, 97, 30, 'nearest', '1d2d891b18a232f4'],
  [97, 61, 97, 30, 'lanczos', 'c11a4126e52cdfbe'],
  [97, 61, 97, 30, 'bilinear', 'e750b5bba36e92d6'],
  [97, 61, 97, 30, 'bicubic', '2a7a83f2914fe964'],
  [97, 61, 97, 30, 'box', '61f6ba7628313993'],
  [97, 61, 97, 30, 'hamming', '67041b22c0ea8959'],
  [97, 61, 33, 61, 'nearest', 'bf7dde77b063a2f8'],
  [97, 61, 33, 61, 'lanczos', '8776f64ebae5ef58'],
  [97, 61, 33, 61, 'bilinear', '524d3c722ecae406'],
  [97, 61, 33, 61, 'bicubic', 'ba44b48b44e7c5c2'],
  [97, 61, 33, 61, 'box', 'b7b31d54cda61bbf'],
  [97, 61, 33, 61, 'hamming', '8014466957c8a3e8'],
  [5, 7, 5, 7, 'nearest', '09c7e3c74f64225c'],
  [5, 7, 5, 7, 'lanczos', '09c7e3c74f64225c'],
  [5, 7, 5, 7, 'bilinear', '09c7e3c74f64225c'],
  [5, 7, 5, 7, 'bicubic', '09c7e3c74f64225c'],
  [5, 7, 5, 7, 'box', '09c7e3c74f64225c'],
  [5, 7, 5, 7, 'hamming', '09c7e3c74f64225c'],
  [3, 200, 3, 9, 'nearest', '49c2ce6514ee1c8f'],
  [3, 200, 3, 9, 'lanczos', '4e01d6a159a82df4'],
  [3, 200, 3, 9, 'bilinear', '01a822ee77f47943'],
  [3, 200, 3, 9, 'bicubic', '38ee715d4ae10ad5'],
  [3, 200, 3, 9, 'box', 'e09eac2ba4f1f6ac'],
  [3, 200, 3, 9, 'hamming', '32f2b2f67617e221'],
];

for (const [width, height, toWidth, toHeight, filter, sha256] of PILLOW) {
  test(`${width} x ${height} resized to ${toWidth} x ${toHeight} with ${filter} has the bytes of Pillow`, () => {
    assert.equal(digest(resize(pattern(width, height), { width: toWidth, height: toHeight }, filter)), sha256);
  });
}

test('a window has the bytes of that rectangle of the whole, and zeros beyond its edges', () => {
  const image = pattern(97, 61);
  const window = { left: -3, top: 20, width: 30, height: 40 };
  for (const filter of ['nearest', 'bilinear', 'lanczos'] as const) {
    for (const size of [
      { width: 40, height: 51 },
      { width: 120, height: 30 },
    ]) {
      const whole = resize(image, size, filter);
      const part = resize(image, size, filter, window);
      for (let y = 0; y < window.height; y++) {
        for (let x = 0; x < window.width; x++) {
          const inside = x + window.left >= 0 && y + window.top < size.height;
          const from = ((y + window.top) * size.width + x + window.left) * 3;
          assert.equal(part.data[(y * window.width + x) * 3], inside ? whole.data[from] : 0, `${filter} ${x} ${y}`);
        }
      }
    }
  }
});

test('the other side is rounded down, as transformers does, and is at least 1', () => {
  const shortest = { kind: 'shortest', edge: 256 } as const;
  assert.deepEqual(resizedSize(shortest, { width: 480, height: 361 }), { width: 340, height: 256 });
  assert.deepEqual(resizedSize(shortest, { width: 200, height: 360 }), { width: 256, height: 460 });
  assert.deepEqual(resizedSize({ ...shortest, longest: 300 }, { width: 100, height: 200 }), {
    width: 150,
    height: 300,
  });
  assert.deepEqual(resizedSize({ kind: 'longest', edge: 64 }, { width: 100, height: 33 }), { width: 64, height: 21 });
  assert.deepEqual(resizedSize({ kind: 'longest', edge: 64 }, { width: 1000, height: 1 }), { width: 64, height: 1 });
});

test('the longest edge with padding adds black on the right and below', () => {
  const geometry = {
    resize: { size: { kind: 'longest', edge: 8 }, filter: 'bilinear' },
    pad: { width: 8, height: 8 },
  } as const;
  const white = { data: new Uint8Array(4 * 2 * 3).fill(255), width: 4, height: 2 };
  const { data, width, height } = applyGeometry(geometry, white);
  assert.deepEqual([width, height], [8, 8]);
  assert.deepEqual(data, new Uint8Array(8 * 8 * 3).fill(255, 0, 8 * 4 * 3));
});

const CROPPED = {
  resize: { size: { kind: 'shortest', edge: 256 }, filter: 'bicubic' },
  crop: { width: 224, height: 224 },
} as const;

test('of a strip of 16000 x 1 only the crop is made, not the 3 GB of the resized strip', () => {
  for (const [width, height] of [
    [16_000, 1],
    [1, 16_000],
  ] as const) {
    checkGeometry(CROPPED, { width, height }, 8 * 2 ** 20);
    const { data } = applyGeometry(CROPPED, { data: new Uint8Array(16_000 * 3).fill(9), width, height });
    assert.deepEqual(data, new Uint8Array(224 * 224 * 3).fill(9));
  }
});

test('a strip that is resized without a crop is refused before it is decoded', () => {
  assert.throws(() => checkGeometry({ resize: CROPPED.resize }, { width: 16_000, height: 1 }, 2 ** 28), {
    code: 'INVALID_INPUT',
    message:
      /^the picture: 16000 x 1 pixels would be resized to 4096000 x 256, which takes \d+ bytes; 268435456 are allowed/,
  });
});
