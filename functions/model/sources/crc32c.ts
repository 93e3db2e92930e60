import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** Castagnoli's polynomial with its bits in reverse, as in RFC 3720: x^0 is the highest bit. */
const POLYNOMIAL = 0x82f63b78;
const ONE = 0x80000000;
/** x^8: what one more byte after them does to the bits of a checksum. */
const BYTE = 0x00800000;

/**
 * The CRC-32C of bytes, 0 to 2^32 - 1, as Cloud Storage gives it for its objects.
 * @param previous the checksum of all bytes before these; 0 at the start.
 */
export function crc32c(chunk: Uint8Array, previous = 0): number {
  return nativeCrc32c(chunk, previous);
}

/**
 * The checksum of two runs of bytes, one after the other, from the checksum of each: for ranges that are read at once.
 * A checksum is linear over GF(2), so the first one needs only be moved up by the second one's length.
 * @param lengthOfB bytes of the second run.
 */
export function combineCrc32c(a: number, b: number, lengthOfB: number): number {
  let shift = ONE;
  let power = BYTE;
  for (let left = lengthOfB; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shift = multiply(shift, power);
    power = multiply(power, power);
  }
  return (multiply(shift, a) ^ b) >>> 0;
}

/** The product of two polynomials over GF(2), modulo Castagnoli's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}
