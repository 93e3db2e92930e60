import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFlat, decodeNested } from '../../functions/tensor/decode.ts';
import { type JsonValue, readJson } from '../../functions/tensor/json/reader.ts';
import type { DType, Tensor } from '../../functions/tensor/tensor.ts';

const read = (text: string): JsonValue => readJson(Buffer.from(text));
const nested = (text: string, dtype: DType, shape: number[]): Tensor => decodeNested(read(text), dtype, shape, 'x');
const flat = (text: string, dtype: DType, dims: number[]): Tensor => decodeFlat(read(text), dtype, dims, 'x.data');

test('arrays nested as the shape become its elements in row-major order', () => {
  assert.deepEqual(nested('[[1,2,3],[4,5,6]]', 'float32', [2, 3]), {
    dtype: 'float32',
    dims: [2, 3],
    data: Float32Array.of(1, 2, 3, 4, 5, 6),
  });
  assert.deepEqual(nested('[[[1],[2]],[[3],[4]]]', 'int16', [-1, 2, -1]).dims, [2, 2, 1]);
  assert.deepEqual(nested('7', 'uint8', []), { dtype: 'uint8', dims: [], data: Uint8Array.of(7) });
});

test('an image with typed rows is decoded as one with plain rows', () => {
  const image = Array.from({ length: 3 }, (_, c) =>
    Array.from({ length: 5 }, (_, y) => new Float64Array(40).fill(c + y / 8)),
  );
  const plain = image.map((channel) => channel.map((row) => Array.from(row)));
  for (const dtype of ['float16', 'float32', 'float64'] as const) {
    const expected = decodeNested(plain, dtype, [3, 5, 40], 'x');
    assert.deepEqual(decodeNested(image, dtype, [-1, -1, -1], 'x'), expected);
    assert.equal(expected.data.length, 600);
  }
  assert.deepEqual(nested(JSON.stringify(plain), 'float32', [3, 5, 40]).data[599], 2.5);
});

test('an empty array gives a dimension of 0, and 0 for open dimensions below it', () => {
  assert.deepEqual(nested('[]', 'float32', [-1, 4]).dims, [0, 4]);
  assert.deepEqual(nested('[]', 'float32', [-1, -1]).dims, [0, 0]);
  assert.deepEqual(nested('[[],[]]', 'string', [2, 0, 3]), { dtype: 'string', dims: [2, 0, 3], data: [] });
});

test('each dtype accepts the values that it can represent', () => {
  const cases: [DType, string, unknown][] = [
    ['float32', '[0.1,-0,1e38,9007199254740993]', Float32Array.of(0.1, -0, 1e38, 9007199254740992)],
    ['float64', '[0.1,-0,1e300,18446744073709551616]', Float64Array.of(0.1, -0, 1e300, 2 ** 64)],
    ['float16', '[1,-0,65504,6e-8,65519]', Uint16Array.of(0x3c00, 0x8000, 0x7bff, 0x0001, 0x7bff)],
    ['int8', '[-128,127,1.0,1e2,-0]', Int8Array.of(-128, 127, 1, 100, 0)],
    ['int16', '[-32768,32767]', Int16Array.of(-32768, 32767)],
    ['int32', '[-2147483648,2147483647]', Int32Array.of(-2147483648, 2147483647)],
    ['uint8', '[0,255]', Uint8Array.of(0, 255)],
    ['uint16', '[0,65535]', Uint16Array.of(0, 65535)],
    ['uint32', '[0,4294967295]', Uint32Array.of(0, 4294967295)],
    ['int64', '[-9223372036854775808,9223372036854775807,1e3]', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 1000n)],
    ['uint64', '[0,18446744073709551615,5.0]', BigUint64Array.of(0n, 2n ** 64n - 1n, 5n)],
    ['bool', '[true,false]', Uint8Array.of(1, 0)],
    ['string', '["","é"]', ['', 'é']],
  ];
  for (const [dtype, text, data] of cases) {
    const decoded = nested(text, dtype, [-1]);
    assert.deepEqual(decoded.data, data, dtype);
    assert.deepEqual(flat(text, dtype, [decoded.data.length]), decoded);
  }
});

test('"NaN", "Infinity" and "-Infinity" are floats, and no other string is', () => {
  const text = '["NaN","Infinity","-Infinity",1]';
  assert.deepEqual(nested(text, 'float32', [4]).data, Float32Array.of(Number.NaN, Infinity, -Infinity, 1));
  assert.deepEqual(nested(text, 'float64', [4]).data, Float64Array.of(Number.NaN, Infinity, -Infinity, 1));
  assert.deepEqual(nested(text, 'float16', [4]).data, Uint16Array.of(0x7e00, 0x7c00, 0xfc00, 0x3c00));
  for (const other of ['"nan"', '"inf"', '"+Infinity"', '"1"', '""']) {
    assert.throws(() => nested(`[${other}]`, 'float32', [1]), {
      message: `x[0]: expected a number (float32), got ${other}`,
    });
  }
  assert.throws(() => nested('["NaN"]', 'int32', [1]), { code: 'INVALID_INPUT', path: 'x[0]' });
});

test('NaN and the infinities as numbers are floats, in short arrays and in long ones, and nothing else', () => {
  for (const length of [3, 40]) {
    const values = Array.from({ length }, (_, i) => [Number.NaN, Infinity, -Infinity][i] ?? i);
    for (const given of [values, Float64Array.from(values)]) {
      assert.deepEqual(decodeNested(given, 'float32', [-1], 'x').data, Float32Array.from(values));
      assert.deepEqual(decodeNested(given, 'float64', [-1], 'x').data, Float64Array.from(values));
      assert.deepEqual((decodeNested(given, 'float16', [-1], 'x').data as Uint16Array)[1], 0x7c00);
      for (const dtype of ['int8', 'int64', 'bool', 'string'] as const) {
        assert.throws(() => decodeNested(given, dtype, [-1], 'x'), { path: 'x[0]', message: /got NaN/ });
      }
    }
    const beyond = Float64Array.from(values, (value, i) => (i === length - 1 ? 1e39 : value));
    if (length > 3) assert.throws(() => decodeNested(beyond, 'float32', [-1], 'x'), { path: `x[${length - 1}]` });
  }
});

test('a value that a dtype cannot represent is refused with its path, the expected and the given', () => {
  const integer = (range: string, dtype: string, given: string) =>
    `expected an integer from ${range} (${dtype}), got ${given}`;
  const cases: [DType, string, string][] = [
    ['int8', '1.5', integer('-128 to 127', 'int8', '1.5')],
    ['int8', '128', integer('-128 to 127', 'int8', '128')],
    ['int8', '-129', integer('-128 to 127', 'int8', '-129')],
    ['int16', '32768', integer('-32768 to 32767', 'int16', '32768')],
    ['int32', '2147483648', integer('-2147483648 to 2147483647', 'int32', '2147483648')],
    ['int32', '9007199254740993', integer('-2147483648 to 2147483647', 'int32', '9007199254740993')],
    ['uint8', '-1', integer('0 to 255', 'uint8', '-1')],
    ['uint16', '65536', integer('0 to 65535', 'uint16', '65536')],
    ['uint32', '4294967296', integer('0 to 4294967295', 'uint32', '4294967296')],
    ['uint32', 'true', integer('0 to 4294967295', 'uint32', 'true')],
    [
      'int64',
      '9223372036854775808',
      integer('-9223372036854775808 to 9223372036854775807', 'int64', '9223372036854775808'),
    ],
    ['int64', '0.5', integer('-9223372036854775808 to 9223372036854775807', 'int64', '0.5')],
    ['int64', '1e300', integer('-9223372036854775808 to 9223372036854775807', 'int64', '1e+300')],
    ['uint64', '-1', integer('0 to 18446744073709551615', 'uint64', '-1')],
    ['uint64', '18446744073709551616', integer('0 to 18446744073709551615', 'uint64', '18446744073709551616')],
    ['float16', '65520', 'expected a number within ±65504 (float16), got 65520'],
    ['float32', '3.5e38', 'expected a number within ±3.4028235e38 (float32), got 3.5e+38'],
    ['float32', '1e999', 'expected a number within ±3.4028235e38 (float32), got a number beyond ±1.8e308'],
    ['float64', '-1e999', 'expected a number within ±1.7976931348623157e308 (float64), got a number beyond ±1.8e308'],
    [
      'float64',
      `1${'0'.repeat(320)}`,
      `expected a number within ±1.7976931348623157e308 (float64), got 1${'0'.repeat(39)}…`,
    ],
    ['float32', 'null', 'expected a number (float32), or "NaN" for a missing one, got null'],
    ['float64', 'true', 'expected a number (float64), got true'],
    ['float32', '[1,2]', 'expected a number (float32), got an array of 2 values'],
    ['float32', '{"a":1}', 'expected a number (float32), got an object'],
    ['bool', '1', 'expected true or false (bool), got 1'],
    ['bool', '"true"', 'expected true or false (bool), got "true"'],
    ['string', '1', 'expected a string, got 1'],
    ['int32', `"${'z'.repeat(60)}"`, integer('-2147483648 to 2147483647', 'int32', `"${'z'.repeat(40)}…"`)],
  ];
  const good: Partial<Record<DType, string>> = { bool: 'true', string: '"s"' };
  for (const [dtype, given, message] of cases) {
    const ok = good[dtype] ?? '1';
    const refused = (path: string) => ({ code: 'INVALID_INPUT', path, message: `${path}: ${message}` });
    assert.throws(() => nested(`[${ok},${given}]`, dtype, [2]), refused('x[1]'));
    assert.throws(() => nested(`[[${ok},${ok}],[${ok},${given}]]`, dtype, [-1, 2]), refused('x[1][1]'));
    assert.throws(() => flat(`[${ok},${ok},${ok},${given}]`, dtype, [2, 2]), refused('x.data[3]'));
    assert.throws(() => nested(given, dtype, []), refused('x'));
  }
});

test('an integer in exponent form beyond 2^53 is refused as inexact', () => {
  assert.throws(() => nested('[1e17]', 'int64', [1]), {
    message: /\(int64\) in plain digits, got 100000000000000000$/,
  });
  assert.throws(() => nested('[9007199254740993.0]', 'uint64', [1]), { message: /in plain digits/ });
  assert.deepEqual(nested('[9007199254740991.0]', 'uint64', [1]).data, BigUint64Array.of(9007199254740991n));
});

test('a bad element of a long typed row is named', () => {
  const row = Array.from({ length: 50 }, (_, i) => (i === 49 ? 1e39 : i));
  assert.throws(() => nested(JSON.stringify([row]), 'float32', [1, 50]), { path: 'x[0][49]' });
  assert.throws(() => nested(JSON.stringify(row), 'int8', [50]), { path: 'x[49]' });
});

test('a nesting that differs from the shape is refused with the array and both lengths', () => {
  const cases: [string, number[], string][] = [
    ['[5.1,3.5,1.4]', [4], 'x: expected 4 values, got 3'],
    ['[[1,2],[3]]', [-1, -1], 'x[1]: expected 2 values as in x[0], got 1'],
    ['[[1,2],[3]]', [2, 2], 'x[1]: expected 2 values, got 1'],
    ['[[1],[2],[3]]', [2, 1], 'x: expected 2 arrays, got 3'],
    ['[[[1],[2]],[[3]]]', [-1, -1, -1], 'x[1]: expected 2 arrays as in x[0], got 1'],
    ['[[[1],[2]],[[3],[4,5]]]', [-1, -1, -1], 'x[1][1]: expected 1 value as in x[0][0], got 2'],
    ['[[1,2],3]', [2, 2], 'x[1]: expected an array of 2 values, got the value 3'],
    ['[1,2]', [2, 2], 'x[0]: expected an array of 2 values, got the value 1'],
    ['3', [-1], 'x: expected an array, got the value 3'],
    ['null', [2], 'x: expected an array of 2 values, got the value null'],
    ['[[],[1]]', [-1, -1], 'x[1]: expected 0 values as in x[0], got 1'],
  ];
  for (const [text, shape, message] of cases) {
    const path = message.slice(0, message.indexOf(':'));
    assert.throws(() => nested(text, 'float32', shape), { code: 'INVALID_INPUT', path, message });
  }
});

test('a ragged array does not allocate the product of its lengths', () => {
  const long = new Float64Array(3_000_000);
  const ragged: JsonValue[] = new Array(3_000_000).fill(1);
  ragged[0] = long;
  assert.throws(() => decodeNested(ragged, 'float64', [-1, -1], 'x'), { path: 'x[1]' });
});

test('data with dims may be flat or nested', () => {
  const expected = { dtype: 'int32', dims: [2, 3], data: Int32Array.of(1, 2, 3, 4, 5, 6) };
  assert.deepEqual(flat('[1,2,3,4,5,6]', 'int32', [2, 3]), expected);
  assert.deepEqual(flat('[[1,2,3],[4,5,6]]', 'int32', [2, 3]), expected);
  assert.deepEqual(flat('[]', 'bool', [0, 3]).dims, [0, 3]);
  assert.deepEqual(flat('[[],[]]', 'bool', [2, 0]).dims, [2, 0]);
  assert.deepEqual(flat('[9]', 'int32', []), { dtype: 'int32', dims: [], data: Int32Array.of(9) });
  assert.deepEqual(flat('9', 'int32', []), { dtype: 'int32', dims: [], data: Int32Array.of(9) });
});

test('data that does not fit its dims is refused before anything is allocated', () => {
  const cases: [string, number[], string][] = [
    ['[1,2,3]', [2, 2], 'expected 4 values for shape [2,2], got 3'],
    ['[1]', [2 ** 40], 'expected 1099511627776 values for shape [1099511627776], got 1'],
    ['[1]', [2 ** 27, 2 ** 26], 'expected 9007199254740992 values for shape [134217728,67108864], got 1'],
    ['[[1]]', [1, 2 ** 40], '[0]: expected 1099511627776 values, got 1'],
    ['[1]', [-1], 'expected a shape of integers from 0 on, got [-1]'],
    ['[1]', [1.5], 'expected a shape of integers from 0 on, got [1.5]'],
    ['[1]', [2 ** 53], 'expected a shape of integers from 0 on, got [9007199254740992]'],
    ['[1]', [Number.NaN], 'expected a shape of integers from 0 on, got [NaN]'],
    ['[1]', new Array(65).fill(1), 'expected at most 64 dimensions, got 65'],
    ['7', [1], 'expected an array of values, got 7'],
    ['[[1,2],[3]]', [2, 2], '[1]: expected 2 values, got 1'],
  ];
  for (const [text, dims, message] of cases) {
    const whole = message.startsWith('[') ? `x.data${message}` : `x.data: ${message}`;
    assert.throws(() => flat(text, 'float32', dims), { code: 'INVALID_INPUT', message: whole });
  }
});

test('flat and nested data give the same tensor for any dims', () => {
  const dims = fc.array(fc.nat(4), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(dims, (sizes) => {
      let next = 0;
      const build = (level: number): JsonValue =>
        level === sizes.length ? next++ : Array.from({ length: sizes[level]! }, () => build(level + 1));
      const value = build(0);
      const data = Array.from({ length: next }, (_, i) => i);
      assert.deepEqual(decodeFlat(value, 'int64', sizes, 'x'), decodeFlat(data, 'int64', sizes, 'x'));
      assert.deepEqual(decodeNested(value, 'int64', sizes, 'x'), decodeFlat(data, 'int64', sizes, 'x'));
    }),
  );
});

test('a string that the model would receive truncated or changed is refused with its place', () => {
  assert.throws(() => nested('["a","b\\u0000c"]', 'string', [2]), { code: 'INVALID_INPUT', path: 'x[1]' });
  assert.throws(() => nested('["a\\ud800"]', 'string', [1]), { code: 'INVALID_INPUT', path: 'x[0]' });
  assert.deepEqual(nested('["😀",""]', 'string', [2]).data, ['😀', '']);
});
