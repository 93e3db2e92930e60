import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { decodePicture } from '../../functions/pictures/decode.ts';

const REFS = join(import.meta.dirname, '../assets/refs');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const image = (file: string): Buffer => readFileSync(join(REFS, 'images', file));

const { cases } = JSON.parse(readFileSync(join(REFS, 'expected/image-classifier-vit.json'), 'utf8')) as {
  cases: { file: string; decoded?: { size: [number, number]; sha256_rgb: string } }[];
};

for (const { file, decoded } of cases) {
  if (decoded === undefined) continue;
  test(`${file} is decoded to the bytes of the reference`, async () => {
    const { data, width, height } = await decodePicture(image(file));
    assert.deepEqual([width, height], decoded.size);
    assert.equal(sha256(data), decoded.sha256_rgb);
  });
}

/** A PNG of the given header: `colour` 0 is grey, 2 RGB, 6 RGBA. @param raw its rows, each after a filter byte */
function png(width: number, height: number, depth: number, colour: number, raw: Uint8Array): Buffer {
  const chunk = (name: string, data: Uint8Array): Buffer => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  header[9] = colour;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(raw)),
    chunk('IEND', new Uint8Array()),
  ]);
}

test('16 bit grey above 255 is white, as Pillow converts it; 16 bit colour keeps its high bytes', async () => {
  const grey = await decodePicture(png(3, 1, 16, 0, Uint8Array.of(0, 0, 7, 1, 0, 0x80, 0)));
  assert.deepEqual([...grey.data], [7, 7, 7, 255, 255, 255, 255, 255, 255]);
  const colour = await decodePicture(png(1, 1, 16, 2, Uint8Array.of(0, 9, 255, 8, 0, 0x80, 128)));
  assert.deepEqual([...colour.data], [9, 8, 128]);
});

test('alpha is dropped, or laid over a colour', async () => {
  const clear = png(2, 1, 8, 6, Uint8Array.of(0, 200, 100, 50, 0, 10, 20, 30, 255));
  assert.deepEqual([...(await decodePicture(clear)).data], [200, 100, 50, 10, 20, 30]);
  const over = await decodePicture(clear, { background: [1, 2, 3] });
  assert.deepEqual([...over.data], [1, 2, 3, 10, 20, 30]);
});

/** 16 x 12, written by Pillow; the digests are those of Pillow's `convert("RGB")`. */
const ODD: [title: string, base64: string, digest: string][] = [
  [
    'a CMYK JPEG',
    '/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgADAAQBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD5I/ZA/wCCaX/CVfZf+Kf3btv/ACyrhP2QP+CaX/CVfZf+Kf3btv8Ayyr0H9kD/gml/wAJV9l/4p/du2/8sq/fyvvCf9j39jX9ifwJp/xG/bE+K3h/wRp99n+zLfUQ81/qe2WCKT7HYwJJdXnltcwGTyIn8pZA77UBYfSHxZ1X/gnD/wAE7tvhv4/eN/7b8bxeX/xbPwLZx6nry7vsrfv4t6Q2P7m6juF+2SwedErmHzWXaef+If8AwVE/YL+AXiqD4cfso/BbUPj7rdnqHkazqWk6iNI0C3VHuIpVh1CS3me9lV4oWVoIHtZYrgSJdMV2Er374R2Xh/8AZ7/Yu+J37Rng/wAK6fe634B+F+u+JNHtdWjaS1murHTp7qJJljZHaIvEoYK6MVJAZTyL3/BVz44/EX9h3/gmTpPiz9mnWf8AhHPEHjz4gWPg+98S2oIv9MsLjT9QuZpbGUEfZ7lvsaxCfBaNZZGj8uURyx+ef8HB/wAcfiLafGz4df8ABPDQ9Z/sz4Zat8P9P8YeJNM04GObXb99TvoIoryTJ822g+wRyxwAKvnOZJPMaK3MJX5bfsuW/iL9tr4qRfGv9q74g+IPHfie8yp1PX9R877NC88s/wBmto8eXaWyyzysltCqQx+YwRFBxXyt/wAE8f2efh38TvFTeOviINQ1zW9b1CS/1nWdWvmubq/upnMk1xNLJl5ZXdmdnYlmZiSSTXpP/BMX9kz4Jaj/AGf9q8Mbs7c/Mv8A8TRX/9k=',
    '1114c298dccdb62b',
  ],
  [
    'a grey PNG with alpha',
    'iVBORw0KGgoAAAANSUhEUgAAABAAAAAMCAQAAADB7vUKAAAAiElEQVR4nH3Kyw7BQBhA4SP53fuPMdVqeU/3pxMWEvEobrUUtTARFSbf7uTU8rJJiCitIFHaQaJ0gkTp/nHkQYko0Q8n7oyYECHKtzMNMqYoBxRRTMWFlBmGPYYx5jX0vCt1EuYMWZP75geLpSBmgWWHJcN67+GGY8mADSn9D34ocKyI2ZLgKp4mmxv/lrXujgAAAABJRU5ErkJggg==',
    'a6ff9d515d9b2ebc',
  ],
  [
    'a palette PNG with a clear colour',
    'iVBORw0KGgoAAAANSUhEUgAAABAAAAAMCAMAAABcOc2zAAACplBMVEUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAzAABmAACZAADMAAD/AAAAMwAzMwBmMwCZMwDMMwD/MwAAZgAzZgBmZgCZZgDMZgD/ZgAAmQAzmQBmmQCZmQDMmQD/mQAAzAAzzABmzACZzADMzAD/zAAA/wAz/wBm/wCZ/wDM/wD//wAAADMzADNmADOZADPMADP/ADMAMzMzMzNmMzOZMzPMMzP/MzMAZjMzZjNmZjOZZjPMZjP/ZjMAmTMzmTNmmTOZmTPMmTP/mTMAzDMzzDNmzDOZzDPMzDP/zDMA/zMz/zNm/zOZ/zPM/zP//zMAAGYzAGZmAGaZAGbMAGb/AGYAM2YzM2ZmM2aZM2bMM2b/M2YAZmYzZmZmZmaZZmbMZmb/ZmYAmWYzmWZmmWaZmWbMmWb/mWYAzGYzzGZmzGaZzGbMzGb/zGYA/2Yz/2Zm/2aZ/2bM/2b//2YAAJkzAJlmAJmZAJnMAJn/AJkAM5kzM5lmM5mZM5nMM5n/M5kAZpkzZplmZpmZZpnMZpn/ZpkAmZkzmZlmmZmZmZnMmZn/mZkAzJkzzJlmzJmZzJnMzJn/zJkA/5kz/5lm/5mZ/5nM/5n//5kAAMwzAMxmAMyZAMzMAMz/AMwAM8wzM8xmM8yZM8zMM8z/M8wAZswzZsxmZsyZZszMZsz/ZswAmcwzmcxmmcyZmczMmcz/mcwAzMwzzMxmzMyZzMzMzMz/zMwA/8wz/8xm/8yZ/8zM/8z//8wAAP8zAP9mAP+ZAP/MAP//AP8AM/8zM/9mM/+ZM//MM///M/8AZv8zZv9mZv+ZZv/MZv//Zv8Amf8zmf9mmf+Zmf/Mmf//mf8AzP8zzP9mzP+ZzP/MzP//zP8A//8z//9m//+Z///M//////91g91EAAAABHRSTlP///8AQCqp9AAAAH9JREFUeJw9jrEVwyAMRDWNm1DFpMgWLlGlYaRK3gUqDWOmyQGPlF//7p4o5/IpLCwqpm5OC1XNzL22RoWnXNQi6I93jYink2w76EgXKaZq3XieOLgPvTBnshl/erreQBbyuvU3MysOLVp/JaTxD/qEfJ9t/DPmCPPpQLwMjfoPYRxcb4IyBJcAAAAASUVORK5CYII=',
    '8a54270959bd674c',
  ],
  [
    'a lossless WebP',
    'UklGRlAAAABXRUJQVlA4TEQAAAAvD8ACAM2VIaL/IWEcSXIaMUv+Mjv/JBlCEP1cEz4fMQHDnKsWyNWvSS4o/MKp7Ge8P1PQ4bcHFL/iTwlK/OHOX+OPAQ==',
    '7415ff2107ef2ddb',
  ],
  [
    'the first frame of an animated WebP',
    'UklGRuQCAABXRUJQVlA4WAoAAAASAAAADwAACwAAQU5JTQYAAAAAAAAAAABBTk1GWAEAAAAAAAAAAA8AAAsAAAAAAAJWUDhMQAEAAC8PwAIAp8OwbdswkOzsjf1/ZtoegaBt26aepDuCtm2bU5LusD7/atM2YPYU3fG/PwUAUKWkAFK6mTsAAEDVjUqVAgAAukkBpKgAKgBApbo5wGMBdLOKi7mUw1vMA+0G8BhTulGpAN0AHlg33ai6eQ7mDkAFmDspqgvuJmXuqAAAwNz5/qNSqVLgIAAAshU167Zt27Zt20ZE/wNAcJLO4golSq3R6vAEMZLBFojlGqPN6QvH0zmKxRcrdBa7JxRL58v1Nkco05jt3nAyU6y2+qO5SGmwuUOJTKnWGUyX25PKaPdF04VqezBb7c+Pt8kRiGfLjf5kuTs/PxDhCCZzlfZwvjnd3iDBFASS+Wp3tNhfXn+MzpPq47lqb7w6XN8wyRZrbL5spTteH+9flMaXm1yRTLk9Wh0fP4wpVNv8qWITQU5NRlgBAAAAAAAAAAAPAAALAAAAAAAAVlA4TEABAAAvD8ACEKfDsG3bMJDs7I39f2baHoGgbdumnqQ7grZtm1OS7rA+/2rTNmD2FN3xvz8FAFClpABSupk7AABA1Y1KlQIAALpJAaSoACoAQKW6OcBjAXSziou5lMNbzAPtBvAYU7pRqQDdAB5YN92ounkO5g5ABZg7KaoL7iZl7qgAAMDc+f6jUqlS4CAAALIVNeO2bdu2bdtmRP+jUUj6rCoBA/veD8thq5QOO40yHhX93A6rUaec8VrVfxYJvy775ahbycZ0Ei4N+z3Pu/mwU8kl/HwGAb6ux/Vs0CpnEwE7Ab0fp+1i3KuXMjG/3fi6n3bLab9VyaciXptBedwsJv12tZiOB11WvUI4G/aalUI6EfLYTGqpgN2qlXKpaNBtM2vlfx6Tkk3FQl6H1aCWifgsOokF3HaLQaMQCzhMGokjAA==',
    '7415ff2107ef2ddb',
  ],
];

for (const [title, base64, digest] of ODD) {
  test(`${title} is decoded to the bytes of Pillow`, async () => {
    const { data, width, height } = await decodePicture(Buffer.from(base64, 'base64'));
    assert.deepEqual([width, height], [16, 12]);
    assert.equal(sha256(data).slice(0, 16), digest);
  });
}

test('an AVIF is decoded', async () => {
  const { data, width, height } = await decodePicture(
    Buffer.from(
      'AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUIAAADrbWV0YQAAAAAAAAAhaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAAAAAAAOcGl0bQAAAAAAAQAAAB5pbG9jAAAAAEQAAAEAAQAAAAEAAAETAAAAuAAAAChpaW5mAAAAAAABAAAAGmluZmUCAAAAAAEAAGF2MDFDb2xvcgAAAABqaXBycAAAAEtpcGNvAAAAFGlzcGUAAAAAAAAAEAAAAAwAAAAQcGl4aQAAAAADCAgIAAAADGF2MUOBAAwAAAAAE2NvbHJuY2x4AAEADQAGgAAAABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAwG1kYXQSAAoJGAz+2iAhoNCAMqgBEgf39qkAggg+QAAAyKPPzjeoY7fO03qjGEaoIS4zmD0K7Bz1qnrMFDPA3YTqB+ddAtd80UQL5hWPiDgNqE7cUA+fEZ3JUuAQlY4z5JdG+YcWmdZcfwMmEqnJpeBFmlFheG304aXdEY7cIr7YyxoqGJR+fmwX2Mmq5WE9FAxoVWOGEBtVz5dvDREu3mIDd7jFzISqu+WqO7s9hRVb9SZF1I9rJBUCr/pA',
      'base64',
    ),
  );
  assert.deepEqual([width, height, data.length], [16, 12, 16 * 12 * 3]);
});

const REFUSED: [title: string, bytes: Uint8Array, message: RegExp][] = [
  ['a truncated JPEG', image('bad-truncated.jpg'), /the jpeg of 17558 bytes is truncated$/],
  ['a truncated PNG', image('png-rgba.png').subarray(0, 50_000), /the png of 50000 bytes (is truncated|.*damaged)$/],
  ['a truncated WebP', image('webp-lossy.webp').subarray(0, 5000), /the webp of 5000 bytes (is truncated|.*damaged)$/],
  [
    'a truncated GIF',
    image('gif-three-frames.gif').subarray(0, 1500),
    /the gif of 1500 bytes (is truncated|.*damaged)$/,
  ],
  ['a text file', image('bad-text.jpg'), /expected JPEG, PNG, WebP, GIF or AVIF, found a text file$/],
  ['an empty file', image('bad-empty.png'), /found no bytes at all$/],
  ['an SVG', Buffer.from('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'), /found an SVG drawing$/],
  ['a TIFF', Buffer.from('II*\0\x08\0\0\0', 'latin1'), /found a TIFF picture$/],
  ['a PDF', Buffer.from('%PDF-1.7'), /found a PDF document$/],
  ['other bytes', Uint8Array.of(0, 1, 2, 3), /found a file that begins with 00010203$/],
  [
    'a header of 50 000 x 50 000',
    png(50_000, 50_000, 8, 2, new Uint8Array(100)),
    /a png of 50000 x 50000 pixels; 50000000 pixels and 65535 on a side are allowed$/,
  ],
];

for (const [title, bytes, message] of REFUSED) {
  test(`${title} is refused with an error that names it`, async () => {
    await assert.rejects(decodePicture(bytes), { name: 'ServingError', code: 'INVALID_INPUT', message });
  });
}

test('a side above the limit is refused, whatever the other is', async () => {
  const strip = png(70_000, 1, 8, 0, new Uint8Array(70_001));
  await assert.rejects(decodePicture(strip), { code: 'INVALID_INPUT', message: /a png of 70000 x 1 pixels;/ });
});

test('a bomb costs no memory: its pixels are counted before one is decoded', async () => {
  const before = process.memoryUsage().rss;
  await assert.rejects(decodePicture(png(50_000, 50_000, 8, 2, new Uint8Array(100))), { code: 'INVALID_INPUT' });
  assert.ok(process.memoryUsage().rss - before < 2 ** 26);
});

test('the caller checks the turned size before pixels are decoded', async () => {
  const seen: unknown[] = [];
  await assert.rejects(
    decodePicture(image('jpeg-exif6.jpg'), {
      check(size) {
        seen.push(size);
        throw new RangeError('too tall');
      },
    }),
  );
  assert.deepEqual(seen, [{ width: 200, height: 360 }]);
});
