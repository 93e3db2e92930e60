import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Digits, type Json, parseLoosely } from '../../../scripts/fuzz/loose-json.ts';

const plain = (value: Json): unknown => {
  if (value instanceof Digits) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
};

test('any JSON reads as JSON.parse reads it, also texts that hold NaN', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('NaN', '"NaN', 'x\\', '-Infinity,NaN'));
  const value = fc.array(fc.oneof(text, fc.integer(), fc.dictionary(text, fc.boolean(), { noNullPrototype: true })));
  fc.assert(fc.property(value, (given) => assert.deepEqual(plain(parseLoosely(JSON.stringify(given))), given)));
});

test('digits are kept, names of floats are texts, and a byte order mark is skipped', () => {
  const read = parseLoosely('\ufeff[9007199254740993,NaN,-Infinity,"Infinity",1.0]') as Json[];
  assert.deepEqual(read, [new Digits('9007199254740993'), 'NaN', '-Infinity', 'Infinity', new Digits('1.0')]);
  assert.throws(() => parseLoosely('[NaNa]'), SyntaxError);
});
