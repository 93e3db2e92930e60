import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BEYOND_DOUBLE } from '../../../functions/tensor/json/number.ts';
import { type JsonValue, readJson } from '../../../functions/tensor/json/reader.ts';

/** More numbers than a thread's first look: enough bytes that fractions are read four digits at once. */
const PADDING = '0,'.repeat(600);

/** Reads a text alone, in a short body and in a long one: the three ways a number can come. */
function readThrice(text: string): JsonValue[] {
  const alone = readJson(Buffer.from(text));
  const short = readJson(Buffer.from(`[${text}]`)) as JsonValue[];
  const long = readJson(Buffer.from(`[${PADDING}${text} ,null]`)) as JsonValue[];
  return [alone, short[0]!, long[600]!];
}

function assertSame(text: string): void {
  for (const value of readThrice(text)) {
    const read = value === BEYOND_DOUBLE || value === -BEYOND_DOUBLE ? Number(value) : value;
    assert.ok(Object.is(read, Number(text)), `${text} read as ${value}, not ${Number(text)}`);
  }
}

function assertAllSame(texts: fc.Arbitrary<string>, numRuns: number): void {
  fc.assert(
    fc.property(texts, (text) => assertSame(text)),
    { numRuns },
  );
}

const digits = (minLength: number, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength, maxLength });
const doubles = fc.double({ noDefaultInfinity: true, noNaN: true });
/** A literal with a point, so that it is no bigint. */
const pointed = (value: number) => (/[.e]/.test(String(value)) ? String(value) : `${value}.0`);

test('the shortest text of a double reads as the double', () => {
  assertAllSame(doubles.map(pointed), 3000);
});

test('a double in 16 to 18 digits is read as by Number', () => {
  const precise = fc.tuple(doubles, fc.integer({ min: 16, max: 18 }));
  const text = precise.map(([value, precision]) => value.toPrecision(precision).replace('e+', 'e'));
  assertAllSame(
    text.map((t) => (/[.e]/.test(t) ? t : `${t}.0`)),
    3000,
  );
});

test('a float32 printed as a double, as Python clients print it, reads as the float32', () => {
  const random = fc.double({ min: -4, max: 4, noNaN: true }).map((value) => pointed(Math.fround(value)));
  assertAllSame(random, 5000);
  assertAllSame(fc.float({ noDefaultInfinity: true, noNaN: true }).map(pointed), 2000);
});

test('random digits with any exponent are read as by Number', () => {
  const parts = fc.record({
    sign: fc.constantFrom('', '-'),
    first: fc.constantFrom(...'0123456789'),
    rest: digits(0, 21),
    fraction: digits(1, 24),
    exponent: fc.oneof(
      fc.constant(''),
      fc.integer({ min: -30, max: 30 }).map((e) => `e${e}`),
      fc.integer({ min: -400, max: 400 }).map((e) => `E${e < 0 ? e : `+${e}`}`),
    ),
  });
  const texts = parts.map((p) => `${p.sign}${p.first}${p.first === '0' ? '' : p.rest}.${p.fraction}${p.exponent}`);
  assertAllSame(texts, 6000);
});

test('a text halfway between two doubles rounds to the even one', () => {
  const halves = fc.tuple(fc.bigInt(2n ** 52n, 2n ** 53n - 1n), fc.integer({ min: 1, max: 6 })).map(([m, shift]) => {
    const scaled = (2n * m + 1n) * 5n ** BigInt(shift);
    const text = scaled.toString();
    return `${text.slice(0, -shift)}.${text.slice(-shift)}`;
  });
  assertAllSame(halves, 2000);
  for (const text of ['9007199254740993.0', '9007199254740993e0', '900719925474099300e-2', '4503599627370496.5']) {
    assertSame(text);
  }
});

test('zeros, extremes and absurd exponents are read as by Number', () => {
  const texts = ['0', '-0', '-0.0', '0e5', '-0e-5', '0.000e999', '5e-324', '2e-324', '1.7976931348623157e308', '1e309'];
  texts.push('-1e400', '1e99999999999', '1e-99999999999', `0.${'0'.repeat(400)}1e401`, `1${'0'.repeat(30)}.5`);
  texts.push(`0.${'0'.repeat(50)}123456789123456789`, '1e22', '1e23', '123456789012345678e-22', '0.1e-22');
  for (const text of texts) assertSame(text);
});

test('an integer literal beyond ±(2^53-1) is a bigint with all its digits', () => {
  const beyond = fc.bigInt(2n ** 53n, 10n ** 60n);
  fc.assert(
    fc.property(beyond, fc.boolean(), (size, negative) => {
      const value = negative ? -size : size;
      for (const read of readThrice(`${value}`)) assert.equal(read, value);
    }),
  );
  for (const read of readThrice('9007199254740991')) assert.equal(read, 9007199254740991);
  for (const read of readThrice('-9007199254740992')) assert.equal(read, -9007199254740992n);
});

test('a number beyond the range of doubles is never an infinity, and is read in linear time', () => {
  assert.equal(readJson(Buffer.from('7'.repeat(400))), BigInt('7'.repeat(400)));
  for (const text of ['7'.repeat(401), '7'.repeat(2_000_000), '1e309', '1.8e308', `0.${'1'.repeat(9)}e999`]) {
    assert.deepEqual(readThrice(text), new Array(3).fill(BEYOND_DOUBLE));
    assert.deepEqual(readThrice(`-${text}`), new Array(3).fill(-BEYOND_DOUBLE));
  }
});

const readBare = (text: string): JsonValue => readJson(Buffer.from(text), 0, Buffer.byteLength(text), 1000, true);

test('if bare floats are accepted, NaN and the infinities are numbers among numbers', () => {
  const number = fc.oneof(doubles, fc.constantFrom(Number.NaN, Infinity, -Infinity, 1));
  const space = fc.constantFrom('', ' ', '\n');
  fc.assert(
    fc.property(fc.array(number, { maxLength: 100 }), space, (numbers, gap) => {
      const text = `[${gap}${numbers.map((one) => (Number.isFinite(one) ? pointed(one) : String(one))).join(`${gap},${gap}`)}${gap}]`;
      const read = readBare(text) as number[] | Float64Array;
      assert.equal(read instanceof Float64Array, numbers.length >= 32);
      assert.deepEqual(
        [...read],
        numbers.map((one) => (one === 0 ? Number(pointed(one)) : one)),
      );
    }),
  );
  assert.deepEqual(readBare('{"a":NaN,"b":[-Infinity,"x",Infinity,null],"c":[[NaN]]}'), {
    __proto__: null,
    a: Number.NaN,
    b: [-Infinity, 'x', Infinity, null],
    c: [[Number.NaN]],
  });
  assert.deepEqual([readBare('NaN'), readBare(' -Infinity ')], [Number.NaN, -Infinity]);
});

test('no other word is a float, and no bracket or comma may be missing', () => {
  for (const text of [
    '[nan]',
    '[inf]',
    '[-NaN]',
    '[+Infinity]',
    '[NaN,]',
    '[NaN 1]',
    '[NaN',
    '[NaNa]',
    '[1,Infinit]',
    'Na',
    '[-]',
  ]) {
    assert.throws(() => readBare(text), { code: 'INVALID_INPUT' }, text);
  }
});

test('if they are not accepted, the error says how NaN and the infinities are sent', () => {
  for (const text of ['[NaN]', '[1,NaN]', '{"a":-Infinity}', '[inf]', 'NaN']) {
    assert.throws(() => readJson(Buffer.from(text)), {
      code: 'INVALID_INPUT',
      message: /; JSON has no NaN and no infinities: send "NaN", "Infinity" or "-Infinity" in quotes$/,
    });
  }
});

test('a number that RFC 8259 does not allow is refused at its byte', () => {
  const cases: [string, number][] = [
    ['[-]', 2],
    ['[01]', 2],
    ['[1.]', 3],
    ['[.5]', 1],
    ['[1e]', 3],
    ['[1e+]', 4],
    ['[+1]', 1],
    ['[0x10]', 2],
    ['[1_000]', 2],
    ['[NaN]', 1],
    ['[-Infinity]', 2],
    ['1.', 2],
    ['-', 1],
    ['1e', 2],
  ];
  for (const [text, byte] of cases) {
    assert.throws(() => readJson(Buffer.from(text)), {
      code: 'INVALID_INPUT',
      message: new RegExp(`at byte ${byte},`),
    });
  }
});

test('no byte but the ten digits counts as a digit, at any place among four', () => {
  for (let byte = 0; byte < 256; byte++) {
    if (byte >= 0x30 && byte <= 0x39) continue;
    if ([0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x45, 0x5d, 0x65].includes(byte)) continue;
    for (let place = 0; place < 4; place++) {
      const text = Buffer.from(`[${PADDING}1.2222]`);
      text[text.length - 2 - place] = byte;
      assert.throws(() => readJson(text), { code: 'INVALID_INPUT' });
    }
  }
});
