import { Raw, writeText } from './json-text.ts';
import { longValue } from './long.ts';
import type { Random } from './random.ts';

const deep = (depth: number): Raw => new Raw('['.repeat(depth) + ']'.repeat(depth));

const NUMBERS = [
  '1e999',
  '-1e999',
  '-0',
  '0',
  '-1',
  '0.5',
  '2147483648',
  '9007199254740993',
  '18446744073709551616',
  '1e-400',
]
  .concat('9'.repeat(400), '01', '1.', '-', 'NaN', 'Infinity', '-Infinity', 'nan', '-NaN')
  .map((text) => new Raw(text));
const STRINGS = ['', '\u0000', 'Ünï😀', '\ud800', 'NaN', '__proto__', '1'].concat('x'.repeat(65_536));
/** JSON texts, so that each use parses a new value. */
const KINDS = ['null', 'true', '{}', '[]', '[[]]', '[[1],[1,2]]', '{"b64":"!"}', '{"b64":"AA=="}', '{"b64":"/w=="}'];
const DEEP = [deep(50), deep(20_000)];

function anything(random: Random): unknown {
  if (random.chance(0.06)) return longValue(random);
  const way = random.int(3);
  if (way === 0) return random.pick(NUMBERS);
  if (way === 1) return random.pick(STRINGS);
  return random.chance(0.2) ? random.pick(DEEP) : JSON.parse(random.pick(KINDS));
}

const DATATYPES = ['BOOL', 'UINT8', 'UINT64', 'INT8', 'INT64', 'FP16', 'FP32', 'FP64', 'BYTES', 'BF16', 'fp32', ''];
const SIZES: readonly unknown[] = [0, -1, 1, 2, 3, 2 ** 31, new Raw('9007199254740993'), 'NaN', 1.5, null];
const NAMES = ['', 'x', 'features', 'inputs', 'instances', 'constructor', '__proto__', 'parameters', 'é'];

type Container = Record<string, unknown> | unknown[];

function containers(value: unknown, into: Container[] = []): Container[] {
  if (typeof value !== 'object' || value === null || value instanceof Raw) return into;
  into.push(value as Container);
  for (const member of Object.values(value)) containers(member, into);
  return into;
}

function mutateArray(items: unknown[], random: Random): void {
  const at = random.int(items.length + 1);
  const way = random.int(4);
  if (way === 0) items.splice(at, 1);
  else if (way === 1) items.push(...items.slice(0, 4096));
  else if (way === 2) items.splice(at, 0, anything(random));
  else items[at] = anything(random);
}

function mutateObject(object: Record<string, unknown>, random: Random): void {
  const keys = Object.keys(object);
  if (keys.length === 0) return;
  const key = random.pick(keys);
  const value = object[key];
  if (key === 'shape' && random.chance(0.8)) {
    object[key] = Array.from({ length: random.int(5) }, () => random.pick(SIZES));
  } else if (key === 'datatype' && random.chance(0.8)) {
    object[key] = random.pick(DATATYPES);
  } else if (key === 'binary_data_size') {
    object[key] = random.pick(SIZES);
  } else if (random.chance(0.25)) {
    delete object[key];
  } else if (random.chance(0.33)) {
    delete object[key];
    Object.defineProperty(object, random.pick(NAMES), { value, enumerable: true, configurable: true, writable: true });
  } else object[key] = anything(random);
}

/** Changes one place of a JSON value, and returns the result, sometimes with a duplicate name. */
export function mutate(value: unknown, random: Random): unknown {
  if (random.chance(0.03)) return anything(random);
  const found = containers(value);
  if (found.length === 0) return anything(random);
  if (random.chance(0.05)) {
    const text = writeText(value);
    return new Raw(text.startsWith('{') ? `${text.slice(0, -1)},${text.slice(1)}` : text);
  }
  const place = random.pick(found);
  if (Array.isArray(place)) mutateArray(place, random);
  else mutateObject(place, random);
  return value;
}

/** Removes, changes or adds bytes. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  const way = random.int(3);
  if (way === 0) return bytes.subarray(0, random.int(bytes.length + 1));
  if (way === 1) return Buffer.concat([bytes, Buffer.alloc(1 + random.int(64), random.int(256))]);
  const flipped = Buffer.from(bytes);
  for (let i = 0; i < 3 && flipped.length > 0; i += 1) flipped[random.int(flipped.length)]! ^= 1 << random.int(8);
  return flipped;
}
