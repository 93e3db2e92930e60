import { ServingError } from '../../errors.ts';

/**
 * The error for a body that is not JSON (RFC 8259).
 * @param bytes the text that is being read
 * @param at the position of the first invalid byte; `end` or more if the text ends too early
 * @param expected what is valid there
 * @param given what is there; by default the byte
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

/** Whether the name of a NaN or an infinity begins at `at`, as Python and JavaScript print them. */
function startsFloat(bytes: Uint8Array, at: number, end: number): boolean {
  return /^(nan|inf)/i.test(String.fromCharCode(...bytes.subarray(at, Math.min(at + 3, end))));
}

/** The position of byte 0 of messages: each line of NDJSON is a body. */
let bodyStart = 0;

/** Sets the position that is byte 0 in messages. */
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
