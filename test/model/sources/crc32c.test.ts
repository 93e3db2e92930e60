import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { combineCrc32c, crc32c } from '../../../functions/model/sources/crc32c.ts';

test('gives the checksums of RFC 3720 and of the usual check string', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array()), 0);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
});

test('continues a checksum, and combines two of them, wherever the bytes are split', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.nat(), (bytes, place) => {
      const split = bytes.length === 0 ? 0 : place % (bytes.length + 1);
      const [a, b] = [bytes.subarray(0, split), bytes.subarray(split)];
      const whole = crc32c(bytes);
      assert.equal(crc32c(b, crc32c(a)), whole);
      assert.equal(combineCrc32c(crc32c(a), crc32c(b), b.length), whole);
    }),
  );
});

test('combines the checksums of many ranges into that of all bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (ranges) => {
      const combined = ranges.reduce((crc, range) => combineCrc32c(crc, crc32c(range), range.length), 0);
      assert.equal(combined, crc32c(Buffer.concat(ranges)));
    }),
  );
});

test('combines over lengths beyond 2^32 bytes', () => {
  // Two shifts by half the length are one by the whole.
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(2 ** 31 - 1), (crc, length) => {
      const far = length + 2 ** 33;
      assert.equal(combineCrc32c(combineCrc32c(crc, 0, far), 0, far), combineCrc32c(crc, 0, 2 * far));
    }),
  );
  assert.notEqual(combineCrc32c(1, 0, 2 ** 33 + 1), combineCrc32c(1, 0, 1));
});
