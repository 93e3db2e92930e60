import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import {
  anyNested,
  anyOf,
  ELEMENTS,
  type Json,
  nested,
  record,
  ref,
} from '../../../functions/routes/openapi/json-schema.ts';
import { decodeNested } from '../../../functions/tensor/decode.ts';
import { encodeFlat, encodeNested } from '../../../functions/tensor/encode.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import { DTYPES, type DType, elementCount } from '../../../functions/tensor/tensor.ts';
import { anyTensor } from '../../helpers/any-tensor.ts';

const ALL = Object.keys(DTYPES) as DType[];
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ components: { schemas: ELEMENTS } }, 'document');
const compiled = new Map<string, ValidateFunction>();
function isValid(schema: Json, value: unknown): boolean {
  const key = JSON.stringify(schema);
  const validate = compiled.get(key) ?? ajv.compile(inDocument(schema));
  compiled.set(key, validate);
  return validate(value);
}
const inDocument = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"document#/components'));
const isElement = (dtype: DType) => ajv.getSchema(`document#/components/schemas/${dtype}`)!;

test('every element of a response is valid by the schema of its dtype', () => {
  fc.assert(
    fc.property(anyTensor(), (tensor) => {
      for (const value of JSON.parse(encodeFlat(tensor))) assert.ok(isElement(tensor.dtype)(value), String(value));
    }),
    { numRuns: 100 },
  );
});

test('the schema of a dtype accepts the elements that a request may have, and no others', () => {
  const values = [
    0,
    1,
    -1,
    127,
    128,
    -128,
    -129,
    255,
    256,
    32_767,
    32_768,
    -32_769,
    65_535,
    65_536,
    2 ** 31,
    -(2 ** 31) - 1,
  ]
    .concat([2 ** 31 - 1, -(2 ** 31), 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 0.5])
    .map((value): unknown => value)
    .concat(['NaN', 'Infinity', '-Infinity', 'x', '', true, false, null]);
  for (const dtype of ALL) {
    for (const value of values) {
      const text = JSON.stringify(value);
      let isTaken = true;
      try {
        decodeNested(readJson(Buffer.from(text)), dtype, [], 'x');
      } catch {
        isTaken = false;
      }
      // A float16 of more than 65504 is refused with its range, which the schema does not have.
      if (dtype === 'float16' && typeof value === 'number' && Math.abs(value) > 65_504) continue;
      assert.equal(isElement(dtype)(value), isTaken, `${dtype} ${text}`);
    }
  }
});

test('a tensor is valid by the schema of its shape, with each dimension fixed or open', () => {
  for (const [shape, dims] of [
    [[], []],
    [[-1], [0]],
    [[3], [3]],
    [
      [-1, 2],
      [2, 2],
    ],
    [
      [2, -1, 1],
      [2, 3, 1],
    ],
  ] as const) {
    const data = Int8Array.from({ length: elementCount(dims) }, (_, i) => i);
    const value = JSON.parse(encodeNested({ dtype: 'int8', dims, data }));
    assert.ok(isValid(nested('int8', shape), value), JSON.stringify(value));
    assert.ok(isValid(anyNested('int8'), value), JSON.stringify(value));
  }
});

test('arrays of another length or depth are not valid', () => {
  const schema = nested('bool', [2, -1, 1]);
  for (const good of [
    [[], []],
    [[[true]], [[true], [false]]],
  ])
    assert.equal(isValid(schema, good), true);
  for (const bad of [
    true,
    [],
    [[]],
    [[], [], []],
    [[true], [true]],
    [[[]], []],
    [[[true, true]], []],
    [[[[true]]], []],
  ]) {
    assert.equal(isValid(schema, bad), false, JSON.stringify(bad));
  }
  assert.equal(isValid(nested('bool', []), true), true);
  assert.equal(isValid(nested('bool', []), [true]), false);
  for (const [value, valid] of [
    [true, true],
    [[[true]], true],
    [1, false],
    [{}, false],
  ] as const) {
    assert.equal(isValid(anyNested('bool'), value), valid);
  }
});

test('a record has all of its fields and no others, but for those that may be missing', () => {
  const schema = record({ a: ref('bool'), b: ref('bool') }, ['b']);
  for (const good of [{ a: true }, { a: true, b: false }]) assert.equal(isValid(schema, good), true);
  for (const bad of [{}, { b: true }, { a: true, c: true }, { a: 1 }, []]) assert.equal(isValid(schema, bad), false);
  assert.equal(isValid(record({ a: ref('bool') }, ['a']), {}), true);
});

test('a value is valid by one of several schemas; a single schema stays as it is', () => {
  assert.deepEqual(anyOf([ref('bool')]), ref('bool'));
  const either = anyOf([ref('bool'), ref('string')]);
  assert.deepEqual(
    [true, 'x', 1].map((value) => isValid(either, value)),
    [true, true, false],
  );
});
