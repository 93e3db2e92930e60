import { exponent, mantissa, shortestFloat32 } from './float-digits.ts';

/** Characters are collected here, and become a string block by block, so that no buffer of the text's size is needed. */
const block = Buffer.allocUnsafeSlow(65_536);

/** Bytes that a number, a comma and a bracket need at most. */
const SPARE = 64;

let at = 0;
let done = '';

const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const LOWER_E = 0x65;

/** Starts a text. There is one text at a time: no `await` may be between `startText` and `endText`. */
export function startText(): void {
  at = 0;
  done = '';
}

/** Ends the text, and returns it. */
export function endText(): string {
  const text = done + block.toString('latin1', 0, at);
  done = '';
  return text;
}

function makeRoom(): void {
  done += block.toString('latin1', 0, at);
  at = 0;
}

/** Appends one ASCII character. */
export function writeCharacter(code: number): void {
  if (at > block.length - SPARE) makeRoom();
  block[at++] = code;
}

/** Appends a comma. It always has room after a number or a bracket. */
export function writeComma(): void {
  block[at++] = COMMA;
}

/** Appends a string of any length and with any characters. */
export function writeText(text: string): void {
  makeRoom();
  done += text;
}

/** Appends up to 32 ASCII characters. */
export function writeWord(word: string): void {
  if (at > block.length - SPARE) makeRoom();
  for (let i = 0; i < word.length; i++) block[at++] = word.charCodeAt(i);
}

/** Appends an integer of magnitude below 2^53. */
export function writeInteger(value: number): void {
  if (at > block.length - SPARE) makeRoom();
  const size = Math.abs(value);
  if (size > 0x7fffffff) {
    writeWord(String(value));
    return;
  }
  if (value < 0) block[at++] = MINUS;
  writeDigits(size, digitCount(size));
}

/** Appends a double in the format of `String`, but -0 with its sign; NaN and the infinities as strings in quotes. */
export function writeFloat64(value: number): void {
  if (value - value !== 0) writeWord(`"${value}"`);
  else writeWord(value === 0 && 1 / value < 0 ? '-0' : String(value));
}

/** Appends a float32 in the fewest digits that read back as the same float32, in the format of `writeFloat64`. */
export function writeFloat32(value: number): void {
  if (value - value !== 0) {
    writeWord(`"${value}"`);
    return;
  }
  if (at > block.length - SPARE) makeRoom();
  if (value < 0 || (value === 0 && 1 / value < 0)) block[at++] = MINUS;
  const size = Math.abs(value);
  if (size < 0x1000000 && Math.trunc(size) === size) {
    writeDigits(size, digitCount(size));
    return;
  }
  shortestFloat32(size);
  writeDecimal(mantissa, exponent);
}

/** Appends `digits` · 10^`power` in the format of ECMA-262's Number::toString. */
function writeDecimal(digits: number, power: number): void {
  const count = digitCount(digits);
  const point = count + power;
  if (power >= 0 && point <= 21) {
    writeDigits(digits, count);
    for (let i = 0; i < power; i++) block[at++] = ZERO;
  } else if (point > 0 && point <= 21) {
    writePointed(digits, count, point);
  } else if (point > -6 && point <= 0) {
    block[at++] = ZERO;
    block[at++] = POINT;
    writeDigits(digits, count - point);
  } else {
    if (count === 1) block[at++] = ZERO + digits;
    else writePointed(digits, count, 1);
    const shown = point - 1;
    block[at++] = LOWER_E;
    block[at++] = shown < 0 ? MINUS : 0x2b;
    writeDigits(Math.abs(shown), digitCount(Math.abs(shown)));
  }
}

/** Appends the last `width` decimal digits of `value`, with leading zeros if it has fewer. */
function writeDigits(value: number, width: number): void {
  let rest = value | 0;
  for (let i = at + width - 1; i >= at; i--) {
    const quotient = (rest / 10) | 0;
    block[i] = ZERO + rest - quotient * 10;
    rest = quotient;
  }
  at += width;
}

/** Appends the `count` digits of `value`, with a point after the first `point` of them. */
function writePointed(value: number, count: number, point: number): void {
  let rest = value | 0;
  for (let i = at + count; i >= at; i--) {
    if (i === at + point) {
      block[i] = POINT;
      continue;
    }
    const quotient = (rest / 10) | 0;
    block[i] = ZERO + rest - quotient * 10;
    rest = quotient;
  }
  at += count + 1;
}

function digitCount(value: number): number {
  let count = 1;
  for (let bound = 10; bound <= value; bound *= 10) count++;
  return count;
}
