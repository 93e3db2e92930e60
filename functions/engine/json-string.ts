import { isUtf8 } from 'node:buffer';
import { syntaxError } from './json-error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** Up to here, characters one by one beat a call into the runtime. */
const SHORT = 12;

/** Keys come again with each request: their strings are kept, by hash, and no more than this many of them. */
const KEY_SLOTS = 512;
const MAX_KEY_BYTES = 48;
const keys: string[] = new Array(KEY_SLOTS).fill('');

/**
 * Checks the string whose first character, after the quote, is at `from`.
 * @returns the position of its closing quote; `~position` where the text has escapes or is not ASCII
 * @throws ServingError INVALID_INPUT for an unescaped control character, a bad escape, or no closing quote
 */
export function scanString(bytes: Buffer, from: number, end: number): number {
  let plain = true;
  let p = from;
  while (p < end) {
    const byte = bytes[p]!;
    if (byte === QUOTE) return plain ? p : ~p;
    if (byte === BACKSLASH) {
      p = skipEscape(bytes, p + 1, end);
      plain = false;
      continue;
    }
    if (byte < 0x20) throw syntaxError(bytes, p, end, 'a character of a string');
    if (byte >= 0x80) plain = false;
    p++;
  }
  throw syntaxError(bytes, end, end, `'"'`);
}

function skipEscape(bytes: Buffer, at: number, end: number): number {
  const letter = at < end ? String.fromCharCode(bytes[at]!) : '';
  if (letter === '' || !'"\\/bfnrtu'.includes(letter)) throw syntaxError(bytes, at, end, 'an escaped character');
  if (bytes[at] !== LOWER_U) return at + 1;
  for (let p = at + 1; p < at + 5; p++) {
    if (p >= end || !/[0-9a-fA-F]/.test(String.fromCharCode(bytes[p]!))) {
      throw syntaxError(bytes, p, end, 'a hexadecimal digit');
    }
  }
  return at + 5;
}

/**
 * The string between the quotes, given where it starts and what `scanString` said of its end.
 * @throws ServingError INVALID_INPUT where it is not UTF-8
 */
export function readString(bytes: Buffer, from: number, close: number): string {
  if (close >= 0) return asciiText(bytes, from, close);
  const to = ~close;
  const body = bytes.subarray(from, to);
  if (!isUtf8(body)) throw syntaxError(bytes, firstBadByte(body) + from, to, 'UTF-8');
  const text = body.toString('utf8');
  return body.includes(BACKSLASH) ? (JSON.parse(`"${text}"`) as string) : text;
}

/** As `readString`, for a key of an object. */
export function readKey(bytes: Buffer, from: number, close: number): string {
  const length = close - from;
  if (close < 0 || length > MAX_KEY_BYTES) return readString(bytes, from, close);
  let hash = length;
  for (let p = from; p < close; p++) hash = (hash * 31 + bytes[p]!) | 0;
  const slot = hash & (KEY_SLOTS - 1);
  const kept = keys[slot]!;
  if (kept.length === length) {
    let i = 0;
    while (i < length && kept.charCodeAt(i) === bytes[from + i]) i++;
    if (i === length) return kept;
  }
  const key = asciiText(bytes, from, close);
  keys[slot] = key;
  return key;
}

function asciiText(bytes: Buffer, from: number, to: number): string {
  if (to - from > SHORT) return bytes.toString('latin1', from, to);
  let text = '';
  for (let p = from; p < to; p++) text += String.fromCharCode(bytes[p]!);
  return text;
}

/** The longest prefix that is UTF-8 ends before it; found by halving, since a prefix may cut a character in two. */
function firstBadByte(body: Buffer): number {
  let at = 0;
  while (at < body.length) {
    const byte = body[at]!;
    const length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    if (!isUtf8(body.subarray(at, at + length))) return at;
    at += length;
  }
  return at;
}
