import assert from 'node:assert/strict';

/** Members whose values no two runs share. */
const VOLATILE = ['request_id', 'uptime', 'load_seconds'];
/** Another CPU's arithmetic may round the last bit of a float32 the other way. */
const TOLERANCE = 1e-6;

/**
 * Compares a response with the one that a page shows: the same members in the same order, the same values; numbers that are no
 * integers within a millionth, or of their magnitude if that is above 1.
 */
export function checkLike(got: unknown, expected: unknown, place: string): void {
  if (typeof expected === 'number' && typeof got === 'number' && !Number.isInteger(expected)) {
    const tolerance = TOLERANCE * Math.max(1, Math.abs(expected));
    assert.ok(Math.abs(got - expected) <= tolerance, `${place}: ${got}, the page shows ${expected}`);
  } else if (typeof expected === 'object' && expected !== null && typeof got === 'object' && got !== null) {
    assert.deepEqual(Object.keys(got), Object.keys(expected), place);
    for (const [name, value] of Object.entries(expected)) {
      const inner: unknown = (got as Record<string, unknown>)[name];
      if (VOLATILE.includes(name)) assert.equal(typeof inner, typeof value, `${place}.${name}`);
      else checkLike(inner, value, `${place}.${name}`);
    }
  } else assert.equal(got, expected, place);
}
