import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { highestOf } from '../../functions/tensor/highest.ts';

const CASES: [title: string, values: number[], count: number, indices: number[]][] = [
  ['the highest first', [0.1, 0.7, 0.2], 2, [1, 2]],
  ['equal values in their order', [1, 2, 1, 2], 3, [1, 3, 0]],
  ['NaN behind -Infinity', [Number.NaN, Number.NEGATIVE_INFINITY, Number.NaN], 3, [1, 0, 2]],
  ['0 and -0 as equals', [-0, 0], 2, [0, 1]],
  ['all if there are fewer', [3, 4], 5, [1, 0]],
  ['none of none', [], 5, []],
  ['none if none is wanted', [1], 0, []],
];
for (const [title, values, count, indices] of CASES) {
  test(`the highest values are ${title}`, () => assert.deepEqual(highestOf(values, count), indices));
}

test('the highest values are the first of all values in their order, for any values and any number of them', () => {
  const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double());
  fc.assert(
    fc.property(fc.array(value, { maxLength: 60 }), fc.nat(70), (values, count) => {
      const number = (x: number): number => (Number.isNaN(x) ? 1 : 0);
      const sorted = [...values.keys()].sort(
        (a, b) =>
          number(values[a]!) - number(values[b]!) ||
          Number(values[b]! > values[a]!) - Number(values[a]! > values[b]!) ||
          a - b,
      );
      assert.deepEqual(highestOf(values, count), sorted.slice(0, count));
    }),
  );
});

test('five of 65,536 values in rising order, each of which is the highest so far, are found without comparing all with all', () => {
  let reads = 0;
  const values = new Proxy({ length: 65_536 } as ArrayLike<number>, {
    get(target, key) {
      if (key === 'length') return target.length;
      reads++;
      return Number(key);
    },
  });
  assert.deepEqual(highestOf(values, 5), [65_535, 65_534, 65_533, 65_532, 65_531]);
  assert.ok(reads < 12 * 65_536, `${reads} reads`);
});
