import { ServingError } from '../../errors.ts';

/**
 * The error for a body that is not JSON (RFC 8259).
 * @param bytes the text being read, of which `bytes[at]` is the first byte that can't stand where it does
 * @param at its position; `end` or more where the text stops too early
 * @param expected what could have stood there
 */
export function syntaxError(
  bytes: Uint8Array,
  at: number,
  end: number,
  expected: string,
  given = at < end ? describeByte(bytes, at, end) : 'the end of the body',
): ServingError {
  const message = `the body is not valid JSON: expected ${expected} at byte ${at - bodyStart}, got ${given}`;
  const advice = startsFloat(bytes, at, end)
    ? `; JSON has no NaN and no infinities: send "NaN", "Infinity" or "-Infinity" in quotes`
    : '';
  return new ServingError('INVALID_INPUT', message + advice);
}

/** Whether a name of a float that JSON has no number for begins here, as Python's and JavaScript's programs print them. */
function startsFloat(bytes: Uint8Array, at: number, end: number): boolean {
  return /^(nan|inf)/i.test(String.fromCharCode(...bytes.subarray(at, Math.min(at + 3, end))));
}

/** Byte positions in messages count from here: a line of NDJSON is a body of its own. */
let bodyStart = 0;

/** Names the position that messages call byte 0. */
export function countBytesFrom(start: number): void {
  bodyStart = start;
}

function describeByte(bytes: Uint8Array, at: number, end: number): string {
  const byte = bytes[at]!;
  if (byte === 0xef && at + 2 < end && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) return 'a byte order mark';
  if (byte > 0x20 && byte < 0x7f) return byte === 0x27 ? `"'"` : `'${String.fromCharCode(byte)}'`;
  if (byte === 0x20) return 'a space';
  return `the byte 0x${byte.toString(16).padStart(2, '0')}`;
}
