import { Raw } from './json-text.ts';
import type { Random } from './random.ts';

/** Characters to repeat: each may be one on which a pattern or a loop is slow. */
const CHARACTERS = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i)).concat(
  '\t',
  '\n',
  '\0',
  'é',
  '😀',
);
const PIECES = [
  'ab',
  '==',
  '=A',
  '\\"',
  '\\u0041',
  '[]',
  '{}',
  '[],',
  '{},',
  '1,',
  '0.',
  '9',
  '1e',
  '": ',
  'null,',
  '\r\n',
];
const ENDS = ['', 'x', '=', '==', '!', ']', '}', '"'];
const MOST_CHARACTERS = 200_000;
const MOST_KEYS = 70_000;

/** A length up to `most`: small ones as often as large ones. */
const lengthUpTo = (most: number, random: Random): number => Math.floor(most ** (random.int(1001) / 1000));

/** A long repeat of one or a few characters, with a different end. */
export function repeat(random: Random): string {
  const piece = random.chance(0.7) ? random.pick(CHARACTERS) : random.pick(PIECES);
  return piece.repeat(lengthUpTo(MOST_CHARACTERS / piece.length, random)) + random.pick(ENDS);
}

const KEYS: readonly ((i: number) => string)[] = [
  (i) => `k${i}`,
  (i) => String(i),
  (i) => String(i * 1000 + 7),
  (i) => (Math.imul(i, 0x9e3779b1) >>> 0).toString(36),
  (i) => `${'k'.repeat(40)}${i}`,
  () => 'same',
];

/** An object of many keys. */
function manyKeys(random: Random): Raw {
  const key = random.pick(KEYS);
  const count = lengthUpTo(MOST_KEYS, random);
  return new Raw(`{${Array.from({ length: count }, (_, i) => `${JSON.stringify(key(i))}:1`)}}`);
}

/** Arrays or objects that are deep and wide. */
function deepAndWide(random: Random): Raw {
  const depth = 1 + random.int(70);
  const width = lengthUpTo(50_000, random);
  const inner = new Array(width).fill(random.pick(['1', '[]', '{}', '"a"', 'null', '[1,2]', '{"a":1}'])).join(',');
  const [open, close] = random.chance(0.5) ? ['[', ']'] : ['{"a":', '}'];
  return new Raw(`${open.repeat(depth)}[${inner}]${close.repeat(depth)}`);
}

/** Valid or invalid base64 of any length. */
function longBase64(random: Random): unknown {
  const text = Buffer.alloc(lengthUpTo(MOST_CHARACTERS, random), random.pick(['a', 'é', '\xff'])).toString('base64');
  return { b64: random.chance(0.5) ? text : random.chance(0.5) ? repeat(random) : text + random.pick(ENDS) };
}

/** A value that is long, wide or deep. */
export function longValue(random: Random): unknown {
  const way = random.int(5);
  if (way === 0) return repeat(random);
  if (way === 1) return new Raw(repeat(random));
  if (way === 2) return manyKeys(random);
  return way === 3 ? deepAndWide(random) : longBase64(random);
}

const BLANKS = ['\n', '\r\n', ' \n', '\t \n'];

/** Blank lines, sometimes very many. */
export const blankLines = (random: Random): string => random.pick(BLANKS).repeat(lengthUpTo(50_000, random));

/** The line with blanks, so that it is long and has the same meaning. */
export function stretched(line: string, random: Random): string {
  const open = line.indexOf('[') + 1;
  return line.slice(0, open) + ' '.repeat(lengthUpTo(300_000, random)) + line.slice(open);
}
