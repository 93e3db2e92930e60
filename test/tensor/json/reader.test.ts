import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ServingError } from '../../../functions/errors.ts';
import { type JsonValue, readJson } from '../../../functions/tensor/json/reader.ts';

const read = (text: string) => readJson(Buffer.from(text));

/** The value as `JSON.parse` gives it: plain arrays, doubles, plain objects. */
function normalise(value: JsonValue): unknown {
  if (typeof value === 'bigint') return Number(value); // also of one beyond the doubles, which JSON.parse makes an infinity
  if (value instanceof Float64Array) return Array.from(value);
  if (Array.isArray(value)) return value.map(normalise);
  if (typeof value !== 'object' || value === null) return value;
  const plain = {};
  for (const [key, inner] of Object.entries(value)) {
    Object.defineProperty(plain, key, {
      value: normalise(inner),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return plain;
}

function parseOrRefuse(parse: () => unknown): { value: unknown } | 'refused' {
  try {
    return { value: parse() };
  } catch (error) {
    assert.ok(error instanceof SyntaxError || (error instanceof ServingError && error.code === 'INVALID_INPUT'));
    return 'refused';
  }
}

function assertAgrees(text: string): void {
  const ours = parseOrRefuse(() => normalise(read(text)));
  // JSON.parse takes the last of equal keys.
  if (hasEqualKeys(text)) return;
  assert.deepEqual(
    ours,
    parseOrRefuse(() => JSON.parse(text)),
    text,
  );
}

function hasEqualKeys(text: string): boolean {
  try {
    read(text);
    return false;
  } catch (error) {
    return /expected another key/.test((error as Error).message);
  }
}

const rows = fc.array(fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 80 }), {
  maxLength: 8,
});
const values = fc.oneof(fc.jsonValue({ stringUnit: 'binary' }), fc.jsonValue(), rows);
const texts = fc
  .tuple(values, fc.constantFrom(undefined, 1, '\t', '\r\n '))
  .map(([value, space]) => JSON.stringify(value, undefined, space === '\r\n ' ? undefined : space));

test('any JSON text is read as by JSON.parse', () => {
  fc.assert(fc.property(texts, assertAgrees), { numRuns: 3000 });
});

test('a text with a few changed characters is accepted or refused as by JSON.parse', () => {
  const pieces = fc.constantFrom(
    ...'{}[],:"\\ \t\n\r01-+.eEtfnu/a\u0001\u007f\u00a0é😀',
    '\\u00',
    'null',
    'true',
    '"a"',
    '1,',
  );
  const edit = fc.record({ at: fc.nat(), cut: fc.nat(2), piece: fc.oneof(pieces, fc.constant('')) });
  const mutated = fc.tuple(texts, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([text, edits]) => {
    let result = text;
    for (const { at, cut, piece } of edits) {
      const from = at % (result.length + 1);
      result = result.slice(0, from) + piece + result.slice(from + cut);
    }
    return result.toWellFormed();
  });
  fc.assert(fc.property(mutated, assertAgrees), { numRuns: 10_000 });
});

test('texts on which parsers disagree are accepted or refused as by JSON.parse', () => {
  const cases = [
    '',
    ' ',
    '[',
    '{',
    '"',
    '[1,]',
    '[,1]',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '[1 2]',
    '{"a" 1}',
    '1 1',
    '[]]',
  ];
  cases.push(
    'tru',
    'truee',
    'nul',
    'True',
    'undefined',
    '"\\x"',
    '"\\u12g4"',
    '"\\u123"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
  );
  cases.push(
    '"a\tb"',
    '"a\nb"',
    '"\u007f"',
    '"\u2028"',
    '// a\n1',
    '[1/**/]',
    '\u00a01',
    '\u000b1',
    '"\\/\\b\\f\\n\\r\\t\\"\\\\"',
  );
  cases.push('{"":1}', '{"10":1,"9":2}', ' [ ] ', ' { } ', '[[],[[]]]', '[1,null]', '[null,1]', '[1,[2]]');
  for (const text of cases) assertAgrees(text);
});

test('an object with equal keys is refused: programs before this one may have read the other value', () => {
  for (const text of ['{"a":1,"a":2}', '{"a":1,"b":{},"\\u0061":1}', '{"__proto__":1,"__proto__":2}']) {
    assert.throws(() => read(text), {
      code: 'INVALID_INPUT',
      message: /expected another key at byte \d+, got "\w+" again/,
    });
  }
  assertAgrees('{"a":{"a":1},"b":{"a":2}}');
});

test('__proto__ is a key like any other', () => {
  const value = read('{"__proto__":{"polluted":1},"constructor":2}') as Record<string, JsonValue>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value), ['__proto__', 'constructor']);
  assert.equal(value.polluted, undefined);
});

test('32 or more plain numbers are a Float64Array with memory of its own', () => {
  const numbers = (length: number) => JSON.stringify(Array.from({ length }, (_, i) => i + 0.5));
  assert.ok(Array.isArray(read(numbers(31))));
  const value = read(`[${numbers(32)},${numbers(32)}]`) as Float64Array[];
  assert.deepEqual(
    value[0],
    Float64Array.from({ length: 32 }, (_, i) => i + 0.5),
  );
  assert.equal(value[0]?.buffer.byteLength, 256);
  assert.notEqual(value[0]?.buffer, value[1]?.buffer);
  const long = Array.from({ length: 100_000 }, (_, i) => i / 8);
  assert.deepEqual(read(JSON.stringify(long)), Float64Array.from(long));
});

test('an array of a million numbers or more is read without a copy, and the next one does not touch it', (t) => {
  const slice = t.mock.method(Object.getPrototypeOf(Float64Array.prototype), 'slice');
  const count = 2 ** 20;
  const texts = ['1', '2'].map((digit) => `[${`${digit},`.repeat(count)}${digit}]`);
  const [ones, twos] = readJson(Buffer.from(`[${texts}]`)) as Float64Array[];
  assert.equal(slice.mock.callCount(), 0);
  for (const [array, value] of [
    [ones!, 1],
    [twos!, 2],
  ] as const) {
    assert.equal(array.length, count + 1);
    assert.ok(array.every((each) => each === value));
  }
});

test('numbers beside other values stay a plain array', () => {
  const mixed = [...Array.from({ length: 40 }, (_, i) => i), 'a'];
  assert.deepEqual(read(JSON.stringify(mixed)), mixed);
  assert.deepEqual(read(`[${'1,'.repeat(40)}9007199254740993]`), [...new Array(40).fill(1), 9007199254740993n]);
});

test('64 levels are read, 65 are refused', () => {
  assert.doesNotThrow(() => read('['.repeat(64) + ']'.repeat(64)));
  for (const text of ['['.repeat(65), '{"a":'.repeat(65), '['.repeat(1_000_000)]) {
    assert.throws(() => read(text), { code: 'INVALID_INPUT', message: /deeper than 64 levels/ });
  }
});

test('strings that are not UTF-8 are refused', () => {
  const bad = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82], [0x80]];
  for (const bytes of bad) {
    const body = Buffer.concat([Buffer.from('["ok","'), Buffer.from(bytes), Buffer.from('"]')]);
    assert.throws(() => readJson(body), { code: 'INVALID_INPUT', message: /expected a string of UTF-8 at byte 6/ });
  }
});

test('a byte order mark before the text is skipped, and refused by name anywhere else', () => {
  assert.deepEqual(normalise(read('\ufeff {"a":[1]}')), { a: [1] });
  assert.equal(read('\ufeff7'), 7);
  assert.throws(() => read('\ufeff[1,x]'), { message: /at byte 6, got 'x'/ });
  for (const text of ['[\ufeff]', '\ufeff\ufeff1']) {
    assert.throws(() => read(text), { message: /got a byte order mark/ });
  }
  assert.throws(() => read('\ufeff'), { message: /expected a value at byte 3, got the end of the body/ });
});

test('an error names the byte, what is expected there and what is there', () => {
  const cases: [string, string][] = [
    ['{"a":1,}', `expected a key in double quotes at byte 7, got '}'`],
    ['[1,]', `expected a value at byte 3, got ']'`],
    ['[1', `expected ',' or ']' at byte 2, got the end of the body`],
    ['{"a":tru}', `expected 'true' at byte 8, got '}'`],
    ['1 2', `expected the end of the body at byte 2, got '2'`],
    ['"\n"', 'expected a character of a string at byte 1, got the byte 0x0a'],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => read(text), { message: `the body is not valid JSON: ${message}` });
  }
});

test('a line within a larger buffer is read alone, its bytes counted from its start', () => {
  const lines = Buffer.from('[1,2]\n{"a":[3]}\n[4,\n5]');
  assert.deepEqual(readJson(lines, 0, 5), [1, 2]);
  assert.deepEqual(normalise(readJson(lines, 6, 15)), { a: [3] });
  assert.throws(() => readJson(lines, 16, 19), { message: /expected a value at byte 3, got the end/ });
  assert.equal(readJson(new Uint8Array([0x39, 0x31, 0x32, 0x39]), 1, 3), 12);
});

test('short strings with the same slot or prefix are distinguished', () => {
  const words = Array.from({ length: 20_000 }, (_, i) => `k${i}`);
  assert.deepEqual(read(JSON.stringify(words)), words);
  const object = read(JSON.stringify(Object.fromEntries(words.map((word, i) => [word, i])))) as Record<string, number>;
  assert.deepEqual(Object.keys(object), words);
});

test('an object of 65,536 members is read, one of more is refused, and an array may have many such objects', () => {
  const object = (count: number) => `{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join(',')}}`;
  assert.equal(Object.keys(read(object(65_536)) as object).length, 65_536);
  assert.throws(() => read(object(65_537)), { code: 'INVALID_INPUT', message: /an object of more than 65536 members/ });
  const rows = `[${Array.from({ length: 300 }, () => object(300)).join(',')}]`;
  assert.equal((read(rows) as unknown[]).length, 300);
});
