import { isUtf8 } from 'node:buffer';
import { syntaxError } from './json-error.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;

/** Texts up to this length are kept, by hash, and no more than this many of them. */
const MAX_KEPT = 32;
const SLOTS = 1024;
const kept: string[] = new Array(SLOTS).fill('');

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
  if (close >= 0) return close - from <= MAX_KEPT ? keptText(bytes, from, close) : bytes.toString('latin1', from, close);
  const to = ~close;
  const body = bytes.subarray(from, to);
  if (!isUtf8(body)) throw syntaxError(bytes, firstBadByte(body) + from, to, 'UTF-8');
  const text = body.toString('utf8');
  return body.includes(BACKSLASH) ? (JSON.parse(`"${text}"`) as string) : text;
}

/** Keys and categories come again and again: an ASCII text this short is looked up among the kept ones. */
function keptText(bytes: Buffer, from: number, to: number): string {
  const length = to - from;
  let hash = length;
  for (let p = from; p < to; p++) hash = (Math.imul(hash, 31) + bytes[p]!) | 0;
  const slot = (hash ^ (hash >>> 9)) & (SLOTS - 1);
  const found = kept[slot]!;
  if (found.length === length) {
    let i = 0;
    while (i < length && found.charCodeAt(i) === bytes[from + i]) i++;
    if (i === length) return found;
  }
  const text = bytes.toString('latin1', from, to);
  // A name of a property is interned by the engine, and so quick as a key the next time.
  const interned = Object.keys({ [text]: 0 })[0]!;
  kept[slot] = interned;
  return interned;
}

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
