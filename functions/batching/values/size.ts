import { createHash } from 'node:crypto';

/**
 * The size of a dimension, or an element of a small tensor of numbers, as far as it is known without running the model: a factor
 * times a product of symbols. The symbol `ROWS` is the number of rows of a run; each other symbol is a number that is equal for
 * all requests of a run. A negative factor or one with a fraction is a number that is no size: a -1 in a shape, a scale.
 */
export interface Size {
  readonly factor: number;
  /** Sorted; a symbol that occurs twice is squared. */
  readonly symbols: readonly string[];
}

/** The symbol of the number of rows of a run. */
export const ROWS = '#rows';

const MAX_SYMBOLS = 16;
/** A shortened product keeps this many `ROWS` at most: a product with as many may have had more. */
const MOST_ROWS = 3;
/** Characters. Names consist of names: without a limit their length could double with every node. */
const MAX_NAME = 100;

/** The number 1. */
export const ONE: Size = { factor: 1, symbols: [] };
/** The number of rows of a run, as a size. */
export const ROW_COUNT: Size = { factor: 1, symbols: [ROWS] };

/** A known number. It may be negative or have a fraction. */
export function number(value: number): Size {
  return { factor: value, symbols: [] };
}

/**
 * A number that is not known, but is equal for all requests of a run. Equal names are equal numbers. A `~` in the name means that
 * it may have a fraction, a `-` that it may be negative.
 */
export function symbol(name: string): Size {
  return { factor: 1, symbols: [name] };
}

/** The number of a size without symbols; undefined for any other. */
export function numberOf(size: Size | undefined): number | undefined {
  return size === undefined || (size.symbols.length > 0 && size.factor !== 0) ? undefined : size.factor;
}

/** Whether the number is an integer for certain. */
export const isInteger = ({ factor, symbols }: Size): boolean =>
  Number.isInteger(factor) && !symbols.some((name) => name.includes('~'));
/** Whether the number is an integer and its symbols are not negative, for certain: no symbol is a difference. */
export const isPositive = (size: Size): boolean => isInteger(size) && !size.symbols.some((name) => name.includes('-'));
/** Whether a size is this number. */
export const isNumber = (size: Size | undefined, value: number): boolean => numberOf(size) === value;
/** Whether a size depends on the number of rows. */
export const hasRows = ({ symbols }: Size): boolean => symbols.includes(ROWS);

/** Whether two sizes are known and equal for certain. */
export function sameSize(a: Size | undefined, b: Size | undefined): boolean {
  return a !== undefined && b !== undefined && a.factor === b.factor && sameSymbols(a, b) && !isManyRows(a);
}

/** The product of two sizes. */
export function times(a: Size, b: Size): Size {
  const factor = a.factor * b.factor;
  if (a.symbols.length === 0) return { factor, symbols: b.symbols };
  if (b.symbols.length === 0) return { factor, symbols: a.symbols };
  const symbols = [...a.symbols, ...b.symbols].sort();
  return { factor, symbols: symbols.length > MAX_SYMBOLS ? shortened(symbols) : symbols };
}

/** Shortens a long product to one symbol, so that a chain of squares stays short. It keeps up to `MOST_ROWS` of `ROWS`. */
function shortened(symbols: readonly string[]): string[] {
  const rows = symbols.filter((name) => name === ROWS).slice(0, MOST_ROWS);
  return [...rows, shortName(symbols.filter((name) => name !== ROWS).join('*'))].sort();
}

/** The product of sizes, of a shape for example; 1 for none. */
export function product(sizes: readonly Size[]): Size {
  return sizes.reduce(times, ONE);
}

/** `a / b` if that is an integer whatever the symbols are; undefined if that is not certain. */
export function divided(a: Size, b: Size): Size | undefined {
  if (b.factor === 0 || a.factor % b.factor !== 0 || isManyRows(a)) return undefined;
  const symbols = [...a.symbols];
  for (const name of b.symbols) {
    const at = symbols.indexOf(name);
    if (at === -1) return undefined;
    symbols.splice(at, 1);
  }
  return { factor: a.factor / b.factor, symbols };
}

const isManyRows = ({ symbols }: Size): boolean => symbols.filter((name) => name === ROWS).length >= MOST_ROWS;

/** The size without its factor `ROWS`; undefined unless it has exactly one. */
export function perRow(size: Size): Size | undefined {
  const rest = divided(size, ROW_COUNT);
  return rest === undefined || hasRows(rest) ? undefined : rest;
}

/** `a + b`, or `a - b` if `sign` is -1. Undefined if the number of rows is in it and does not cancel out. */
export function plus(a: Size, b: Size, sign: 1 | -1 = 1): Size | undefined {
  if (b.factor === 0) return a;
  if (isManyRows(a) || isManyRows(b)) return undefined;
  if (sameSymbols(a, b)) return withFactor(a.factor + sign * b.factor, a.symbols);
  if (a.factor === 0 && sign === 1) return b;
  return combined(sign === 1 ? '+' : '-', a, b);
}

/** A number computed from two, with a name that contains the computation. Undefined if it depends on the number of rows. */
export function combined(operator: string, a: Size, b: Size = ONE): Size | undefined {
  if (hasRows(a) || hasRows(b)) return undefined;
  return symbol(shortName(`(${nameOf(a)}${operator}${nameOf(b)})`));
}

function shortName(name: string): string {
  return name.length <= MAX_NAME ? name : `~${createHash('sha256').update(name).digest('base64url')}`;
}

function withFactor(factor: number, symbols: readonly string[]): Size {
  return factor === 0 ? number(0) : { factor, symbols };
}

function sameSymbols(a: Size, b: Size): boolean {
  return a.symbols.length === b.symbols.length && a.symbols.every((name, i) => name === b.symbols[i]);
}

function nameOf({ factor, symbols }: Size): string {
  return [...(factor === 1 && symbols.length > 0 ? [] : [factor]), ...symbols].join('*');
}
