import { createHash } from 'node:crypto';

/**
 * The size of a dimension, or an element of a small tensor of numbers, as it is known without running the model: a factor
 * times the product of the sizes that callers choose. `ROWS` stands for the number of rows of a run, the others for what
 * is the same in every request of a run. A negative or broken factor is a number that is no size: a -1 in a shape, a scale.
 */
export interface Size {
  readonly factor: number;
  /** Sorted; a symbol that is there twice is squared. */
  readonly symbols: readonly string[];
}

/** The number of rows of a run. */
export const ROWS = '#rows';

const MAX_SYMBOLS = 16;
/** Where the number of rows is there as often as this, it may have been there more often. */
const MOST_ROWS = 3;
/** Characters. Names are made of names: without a bound they could double with every node. */
const MAX_NAME = 100;

export const ONE: Size = { factor: 1, symbols: [] };
export const ROW_COUNT: Size = { factor: 1, symbols: [ROWS] };

export function number(value: number): Size {
  return { factor: value, symbols: [] };
}

/**
 * A size that is not known, but is the same in every request of a run. Equal names are equal sizes. A `~` in the name says that
 * it may be a broken number.
 */
export function symbol(name: string): Size {
  return { factor: 1, symbols: [name] };
}

/** The number, where it is one without symbols. */
export function numberOf(size: Size | undefined): number | undefined {
  return size === undefined || (size.symbols.length > 0 && size.factor !== 0) ? undefined : size.factor;
}

/** Not broken, and not negative unless its factor is. */
export const isWhole = ({ factor, symbols }: Size): boolean =>
  Number.isInteger(factor) && !symbols.some((name) => name.includes('~'));
/** Whole and never negative, where its factor is not: no difference is in it. */
export const isPositive = (size: Size): boolean => isWhole(size) && !size.symbols.some((name) => name.includes('-'));
export const isNumber = (size: Size | undefined, value: number): boolean => numberOf(size) === value;
export const hasRows = ({ symbols }: Size): boolean => symbols.includes(ROWS);

export function sameSize(a: Size | undefined, b: Size | undefined): boolean {
  return a !== undefined && b !== undefined && a.factor === b.factor && sameSymbols(a, b) && !isManyRows(a);
}

export function times(a: Size, b: Size): Size {
  const factor = a.factor * b.factor;
  if (a.symbols.length === 0) return { factor, symbols: b.symbols };
  if (b.symbols.length === 0) return { factor, symbols: a.symbols };
  const symbols = [...a.symbols, ...b.symbols].sort();
  return { factor, symbols: symbols.length > MAX_SYMBOLS ? shortened(symbols) : symbols };
}

/** A long product under one name, so that a chain of squares stays short. Of the number of rows, it keeps that it is squared. */
function shortened(symbols: readonly string[]): string[] {
  const rows = symbols.filter((name) => name === ROWS).slice(0, MOST_ROWS);
  return [...rows, shortName(symbols.filter((name) => name !== ROWS).join('*'))].sort();
}

export function product(sizes: readonly Size[]): Size {
  return sizes.reduce(times, ONE);
}

/** `a / b` where it comes out whole whatever the symbols are; undefined where that is not certain. */
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

/** The size without its factor `ROWS`; undefined where it is not there exactly once. */
export function perRow(size: Size): Size | undefined {
  const rest = divided(size, ROW_COUNT);
  return rest === undefined || hasRows(rest) ? undefined : rest;
}

/** A sum or a difference. Undefined where the number of rows is in it and does not cancel out. */
export function plus(a: Size, b: Size, sign: 1 | -1 = 1): Size | undefined {
  if (b.factor === 0) return a;
  if (isManyRows(a) || isManyRows(b)) return undefined;
  if (sameSymbols(a, b)) return withFactor(a.factor + sign * b.factor, a.symbols);
  if (a.factor === 0 && sign === 1) return b;
  return combined(sign === 1 ? '+' : '-', a, b);
}

/** A number that is computed from two, under a name that says how. Undefined where the number of rows is one of them. */
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
