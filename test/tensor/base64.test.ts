import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOf, decodeBase64 } from '../../functions/tensor/base64.ts';
import { decodeFlat, decodeInput, decodeNested } from '../../functions/tensor/decode.ts';
import { type JsonValue, readJson } from '../../functions/tensor/json/reader.ts';

const ALL = Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i));
const read = (value: unknown): JsonValue => readJson(Buffer.from(JSON.stringify(value)));
const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

test('base64 of either alphabet, with or without padding, gives the bytes as one character each', () => {
  for (const length of [0, 1, 2, 3, 254, 255, 256]) {
    const bytes = ALL.subarray(0, length);
    for (const text of [
      bytes.toString('base64'),
      bytes.toString('base64url'),
      bytes.toString('base64').replace(/=+$/, ''),
    ]) {
      assert.equal(
        bytesOf(text, () => ''),
        latin1(bytes),
      );
      assert.deepEqual(decodeBase64(text), bytes);
      assert.equal(
        bytesOf(`data:image/png;base64,${text}`, () => ''),
        latin1(bytes),
      );
    }
  }
});

test('what is not base64 is refused with its place', () => {
  const place = (): string => 'features.image';
  for (const [value, message] of [
    ['a b=', 'the text is not base64'],
    ['AAAA=A', 'the text is not base64'],
    ['A', 'the text is not base64'],
    ['===', 'the text is not base64'],
    ['é', 'the text is not base64'],
    // Node reads the lower byte of a character.
    ['\u0141AAA', 'the text is not base64'],
    ['AA=AAAAA', 'the text is not base64'],
    ...['?AAA', 'A?', 'AA?', 'AAA?', 'AAAA AA', 'AAAAAA?A', 'AAAA\nAAAA'].map((text) => [
      text,
      'the text is not base64',
    ]),
    ['data:image/png,AAAA', 'expected a data: URL that ends its head with ;base64 and a comma'],
    [`data:${'x'.repeat(300)};base64,AAAA`, 'expected a data: URL that ends its head with ;base64 and a comma'],
    [7, 'expected base64, or {"b64": base64}'],
    [null, 'expected base64, or {"b64": base64}'],
    [{ b64: 'AAAA', more: 1 }, 'expected base64, or {"b64": base64}'],
    [{ b64: 1 }, 'expected base64, or {"b64": base64}'],
  ] as const) {
    assert.throws(() => bytesOf(read(value), place), {
      code: 'INVALID_INPUT',
      path: 'features.image',
      message: `features.image: ${message}`,
    });
  }
});

test('tensors of bytes are decoded in each form of a tensor, and keep NUL', () => {
  const [a, b] = [Buffer.of(0, 255), Buffer.of(1)];
  const expected = { dtype: 'string', dims: [2], data: [latin1(a), latin1(b)] } as const;
  const value = read([a.toString('base64'), { b64: b.toString('base64') }]);
  assert.deepEqual(decodeNested(value, 'bytes', [-1], 'x'), expected);
  assert.deepEqual(decodeFlat(value, 'bytes', [2], 'x'), expected);
  assert.deepEqual(decodeInput(value, { name: 'x', dtype: 'string', shape: [-1], bytes: true }, 'x'), expected);
  assert.throws(() => decodeNested(read(['AAAA', '?']), 'bytes', [-1], 'x'), { path: 'x[1]' });
});

test('a long text of base64 takes time in proportion to its length', () => {
  const text = 'A'.repeat(8_000_000);
  assert.equal(bytesOf(text, () => '').length, 6_000_000);
  assert.throws(() => bytesOf(`${text}?`, () => 'x'), { path: 'x' });
  assert.throws(() => bytesOf('='.repeat(8_000_000), () => 'x'), { path: 'x' });
});
