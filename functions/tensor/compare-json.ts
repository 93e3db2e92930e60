import { describe } from './fill.ts';
import { isArray, isObject, type JsonValue } from './json/reader.ts';

/**
 * Finds the first place in which two JSON values differ: numbers by more than `tolerance` × max(1, |expected|), all else at all.
 * @returns `a.b[2]: came out as 3, expected 4`; undefined if there is none
 */
export function findJsonDifference(
  expected: JsonValue | undefined,
  got: JsonValue | undefined,
  tolerance: number,
  path = '',
): string | undefined {
  if (isArray(expected) && isArray(got) && expected.length === got.length) {
    for (let i = 0; i < expected.length; i++) {
      const difference = findJsonDifference(expected[i], got[i], tolerance, `${path}[${i}]`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (isObject(expected) && isObject(got)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(got)])) {
      const inner = path === '' ? key : `${path}.${key}`;
      const difference = findJsonDifference(expected[key], got[key], tolerance, inner);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
  if (expected === got || isNear(expected, got, tolerance)) return undefined;
  const shown = (value: JsonValue | undefined): string => (value === undefined ? 'nothing' : describe(value));
  return `${path === '' ? '' : `${path}: `}came out as ${shown(got)}, expected ${shown(expected)}`;
}

const isNumber = (value: unknown): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

function isNear(expected: JsonValue | undefined, got: JsonValue | undefined, tolerance: number): boolean {
  if (!isNumber(expected) || !isNumber(got)) return false;
  const [wanted, given] = [Number(expected), Number(got)];
  return Math.abs(given - wanted) <= tolerance * Math.max(1, Math.abs(wanted));
}
