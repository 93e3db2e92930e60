import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  combined,
  divided,
  hasRows,
  isInteger,
  isNumber,
  isPositive,
  number,
  numberOf,
  ONE,
  perRow,
  plus,
  product,
  ROW_COUNT,
  ROWS,
  type Size,
  sameSize,
  symbol,
  times,
} from '../../../functions/batching/values/size.ts';

/** A size, and what it is in one run. */
interface Pair {
  readonly size: Size;
  readonly value: number;
}

/** What the names of sizes stand for in one run. One name that stands for two numbers is an error. */
class Run {
  readonly #values = new Map<string, number>();

  define(name: string, value: number): Pair {
    this.#values.set(name, value);
    return { size: name === ROWS ? ROW_COUNT : symbol(name), value };
  }

  /** Gives the pair, once its size is what its value says: a new name of a computed number is remembered. */
  check({ size, value }: Pair): Pair {
    const opaque = size.symbols.filter((name) => !this.#values.has(name));
    const known = size.symbols.filter((name) => this.#values.has(name));
    const rest = known.reduce((all, name) => all * this.#values.get(name)!, size.factor);
    if (opaque.length === 0) assert.ok(rest === value, `${rest}, not ${value}`);
    else {
      assert.equal(opaque.length, 1);
      if (rest !== 0) this.#values.set(opaque[0]!, value / rest);
    }
    return { size, value };
  }
}

const steps = fc.array(fc.record({ kind: fc.nat({ max: 4 }), a: fc.nat({ max: 99 }), b: fc.nat({ max: 99 }) }), {
  maxLength: 25,
});
const whole = fc.integer({ min: 1, max: 7 });

test('sums, differences, products and quotients of sizes are those of the numbers that they represent', () => {
  const property = fc.property(steps, whole, whole, whole, (list, rows, left, right) => {
    const run = new Run();
    const found = [run.define('a', left), run.define('b', right), run.define(ROWS, rows)];
    found.push(...[-1, 0, 1, 2, 3].map((value) => ({ size: number(value), value })));
    for (const { kind, a: i, b: j } of list) {
      const [a, b] = [found[i % found.length]!, found[j % found.length]!];
      // A quotient by a size of 0 is nothing: an axis of that size has no elements.
      if (kind === 3 && b.value === 0) continue;
      const results: [Size | undefined, number][] = [
        [times(a.size, b.size), a.value * b.value],
        [plus(a.size, b.size), a.value + b.value],
        [plus(a.size, b.size, -1), a.value - b.value],
        [divided(a.size, b.size), a.value / b.value],
        [combined('^', a.size, b.size), a.value * 1000 + b.value],
      ];
      const [size, value] = results[kind]!;
      const many = size?.symbols.filter((name) => name === ROWS).length ?? 0;
      if (size === undefined || many > 2 || Math.abs(value) > 1e6) continue;
      found.push(run.check({ size, value }));
    }
    for (const a of found) {
      for (const b of found) if (sameSize(a.size, b.size)) assert.ok(a.value === b.value);
      if (numberOf(a.size) !== undefined) assert.ok(numberOf(a.size) === a.value);
      if (isPositive(a.size) && a.size.factor > 0) assert.ok(a.value >= 0);
      if (isInteger(a.size)) assert.ok(Number.isInteger(a.value));
      const each = perRow(a.size);
      if (each !== undefined) assert.ok(!hasRows(each) && sameSize(times(each, ROW_COUNT), a.size));
    }
  });
  fc.assert(property, { numRuns: 3000 });
});

test('the order of factors makes no difference', () => {
  const sizes = fc.array(fc.constantFrom(ONE, number(2), symbol('a'), symbol('b'), ROW_COUNT), { maxLength: 12 });
  const property = fc.property(sizes, (list) => {
    const few = list.filter((one) => one !== ROW_COUNT || list.indexOf(one) === list.lastIndexOf(one));
    assert.ok(sameSize(product(few), product(few.toReversed())));
  });
  fc.assert(property);
});

test('a quotient is given only if it is an integer whatever the symbols are', () => {
  const [a, b] = [symbol('a'), symbol('b')];
  assert.deepEqual(divided(times(number(6), times(a, b)), times(number(2), b)), times(number(3), a));
  assert.equal(divided(a, b), undefined);
  assert.equal(divided(number(7), number(2)), undefined);
  assert.equal(divided(a, number(0)), undefined);
});

test('the number of rows may cancel out, and is in no other sum', () => {
  assert.ok(isNumber(plus(ROW_COUNT, ROW_COUNT, -1), 0));
  assert.equal(plus(ROW_COUNT, ONE), undefined);
  assert.equal(combined('floor', times(ROW_COUNT, number(0.5))), undefined);
});

test('a long product has a short name, is not equal to another one, and keeps that rows are squared', () => {
  const powers = Array.from({ length: 40 }, (_, i) => product(Array.from({ length: i }, () => symbol('a'))));
  for (const [i, one] of powers.entries()) {
    assert.ok(one.symbols.length <= 16 && one.symbols.every((name) => name.length <= 100));
    for (const other of powers.slice(i + 1)) assert.ok(!sameSize(one, other));
  }
  const cubed = times(product([ROW_COUNT, ROW_COUNT, ROW_COUNT]), powers[20]!);
  assert.equal(divided(cubed, times(ROW_COUNT, ROW_COUNT)), undefined);
  assert.equal(perRow(cubed), undefined);
});

test('a difference may be negative, a product of sizes may not', () => {
  assert.ok(!isPositive(plus(symbol('a'), number(3), -1)!));
  assert.ok(!isPositive(plus(symbol('a'), number(-3))!));
  assert.ok(isPositive(times(symbol('a'), symbol('b'))));
});
