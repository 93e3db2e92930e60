import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/** Castagnoli's polynomial with reversed bits, as in RFC 3720: x^0 is the highest bit. */
const POLYNOMIAL = 0x82f63b78;
const ONE = 0x80000000;
/** x^8: one more byte multiplies the checksum of the bytes before it by this. */
const BYTE = 0x00800000;

/**
 * The CRC32C of bytes (RFC 3720), 0 to 2^32 - 1, which Cloud Storage has for its objects.
 * @param previous the checksum of all bytes before these; 0 at the start
 */
export function crc32c(chunk: Uint8Array, previous = 0): number {
  return nativeCrc32c(chunk, previous);
}

/**
 * The checksum of two consecutive ranges from the checksum of each, for ranges that are read at once. A checksum is linear over
 * GF(2), so that the first only has to be multiplied by x^8 for each byte of the second.
 * @param lengthOfB the number of bytes of the second range
 */
export function combineCrc32c(a: number, b: number, lengthOfB: number): number {
  let shift = ONE;
  let power = BYTE;
  for (let rest = lengthOfB; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shift = multiply(shift, power);
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
