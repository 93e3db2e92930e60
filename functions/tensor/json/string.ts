import { isUtf8 } from 'node:buffer';
import { syntaxError } from './syntax-error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const ESCAPED = Buffer.from('"\\/bfnrtu');

/** ASCII texts up to this length are cached, by hash. */
const MAX_CACHED_LENGTH = 32;
const SLOTS = 1024;
const cache: string[] = new Array(SLOTS).fill('');

/**
 * Checks the string whose first character, after the quote, is at `from`.
 * @returns the position of its closing quote; `~position` if the text has escapes or is not ASCII
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

/** Checks an escape. @param at the position after the backslash. @returns the position after the escape */
function skipEscape(bytes: Buffer, at: number, end: number): number {
  if (at >= end || !ESCAPED.includes(bytes[at]!)) throw syntaxError(bytes, at, end, 'an escaped character');
  if (bytes[at] !== LOWER_U) return at + 1;
  for (let p = at + 1; p <= at + 4; p++) {
    const byte = p < end ? bytes[p]! : 0;
    const letter = byte | 0x20;
    const isHex = (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x66);
    if (!isHex) throw syntaxError(bytes, p, end, 'a hexadecimal digit');
  }
  return at + 5;
}

/**
 * The string between the quotes.
 * @param from the position of its first character
 * @param close the result of `scanString`
 * @throws ServingError INVALID_INPUT if it is not UTF-8
 */
export function readString(bytes: Buffer, from: number, close: number): string {
  if (close >= 0) {
    return close - from > MAX_CACHED_LENGTH ? bytes.toString('latin1', from, close) : readCached(bytes, from, close);
  }
  const to = ~close;
  const body = bytes.subarray(from, to);
  if (!isUtf8(body)) throw syntaxError(bytes, from - 1, to, 'a string of UTF-8', 'other bytes');
  const text = body.toString('utf8');
  return body.includes(BACKSLASH) ? (JSON.parse(`"${text}"`) as string) : text;
}

/** The string of a short ASCII text, from the cache if it is there: keys and categories occur again and again. */
function readCached(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  let hash = length;
  for (let p = from; p < to; p++) hash = (Math.imul(hash, 31) + bytes[p]!) | 0;
  const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
  const found = cache[slot]!;
  if (found.length === length) {
    let i = 0;
    while (i < length && found.charCodeAt(i) === bytes[from + i]) i++;
    if (i === length) return found;
  }
  const text = bytes.toString('latin1', from, to);
  cache[slot] = text;
  return text;
}
