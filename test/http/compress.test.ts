import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync, inflateSync } from 'node:zlib';
import { codingFor, compress } from '../../functions/http/compress.ts';

const never = (): boolean => false;

test('pieces are compressed as one body, in gzip and in the format of zlib', async () => {
  const pieces = ['{"a":', '', '[1,2,3]'.repeat(50_000), '}'].map((text) => Buffer.from(text));
  const whole = Buffer.concat(pieces);
  for (const [coding, inflate] of [
    ['gzip', gunzipSync],
    ['deflate', inflateSync],
  ] as const) {
    const packed = await compress(pieces, coding, never);
    assert.ok(packed.length < whole.length / 10);
    assert.deepEqual(inflate(packed), whole);
  }
});

test('the rest is not compressed once the request is cancelled', async () => {
  const piece = Buffer.alloc(2 ** 20, 'abcdefgh');
  let asked = 0;
  const packed = await compress(
    Array.from({ length: 200 }, () => piece),
    'gzip',
    () => ++asked === 1,
  );
  assert.equal(asked, 1);
  assert.throws(() => gunzipSync(packed));
});

test('responses are compressed in gzip or deflate', () => {
  assert.deepEqual(['br', 'gzip, deflate', 'deflate', undefined].map(codingFor), [
    undefined,
    'gzip',
    'deflate',
    undefined,
  ]);
});
