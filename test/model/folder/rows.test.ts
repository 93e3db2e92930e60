import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { createRowDecoder, type RowDecoder } from '../../../functions/model/folder/rows.ts';
import { type JsonValue, readJson } from '../../../functions/tensor/json/reader.ts';
import type { Signature, Tensor, TensorSpec } from '../../../functions/tensor/tensor.ts';
import { countedArray } from '../../helpers/counted-array.ts';
import { float32 } from '../../helpers/tensors.ts';

const spec = (name: string, dtype: TensorSpec['dtype'], ...shape: number[]): TensorSpec => ({ name, dtype, shape });
const signature = (...inputs: TensorSpec[]): Signature => ({ inputs, outputs: [] });
const json = (text: string): JsonValue => readJson(Buffer.from(text));

function decode(decoder: RowDecoder, features: string) {
  const { tensors, rows, isRow } = decoder.decode(json(features), 'features');
  return {
    tensors: tensors.map((tensor) => ({ dtype: tensor!.dtype, dims: tensor!.dims, data: tensor!.data })),
    rows,
    isRow,
  };
}

const IRIS = signature(spec('x', 'float32', -1, 4));
const TABLE = signature(
  spec('age', 'float32', -1, 1),
  spec('city', 'string', -1, 1),
  spec('last visit', 'int64', -1, 1),
);
const joined = createRowDecoder(IRIS, undefined, true);
const unjoined = createRowDecoder(IRIS, undefined, false);
const named = createRowDecoder(IRIS, ['a', 'b', 'c', 'd e'], true);
const table = createRowDecoder(TABLE, undefined, true);

const open = createRowDecoder(signature({ ...spec('x', 'float32'), anyRank: true }), undefined, false);

const ROW = float32([1, 4], [1, 2, 3, 4]);
const FORMS: [title: string, decoder: RowDecoder, features: string, tensors: Tensor[], isRow: boolean][] = [
  ['a row', joined, '[1,2,3,4]', [ROW], true],
  ['a row by the name of the input', joined, '{"x":[1,2,3,4]}', [ROW], true],
  ['values by the names of the manifest, in any order', named, '{"d e":4,"c":3,"b":2,"a":1}', [ROW], true],
  ['a row if the manifest has names', named, '[1,2,3,4]', [ROW], true],
  ['the input by name if the manifest has names', named, '{"x":[1,2,3,4]}', [ROW], true],
  ['a row of a model that is not joined', unjoined, '[1,2,3,4]', [ROW], true],
  [
    'a complete tensor of a model that is not joined',
    unjoined,
    '[[1,2,3,4],[5,6,7,8]]',
    [float32([2, 4], [1, 2, 3, 4, 5, 6, 7, 8])],
    false,
  ],
  ['a complete tensor of one row', unjoined, '[[1,2,3,4]]', [ROW], false],
  [
    'a row of a higher rank',
    createRowDecoder(signature(spec('x', 'float32', -1, 2, 2)), undefined, true),
    '[[1,2],[3,4]]',
    [float32([1, 2, 2], [1, 2, 3, 4])],
    true,
  ],
  [
    'a row whose length is free',
    createRowDecoder(signature(spec('x', 'float32', -1, -1)), undefined, true),
    '[1,2,3]',
    [float32([1, 3], [1, 2, 3])],
    true,
  ],
  [
    'a scalar for each row',
    createRowDecoder(signature(spec('x', 'float32', -1)), undefined, true),
    '7',
    [float32([1], [7])],
    true,
  ],
  [
    'a bare value for a column',
    createRowDecoder(signature(spec('x', 'float32', -1, 1)), undefined, true),
    '7',
    [float32([1, 1], [7])],
    true,
  ],
  [
    'a column in brackets',
    createRowDecoder(signature(spec('x', 'float32', -1, 1)), undefined, true),
    '[7]',
    [float32([1, 1], [7])],
    true,
  ],
  [
    'a complete tensor with a fixed dimension 0',
    createRowDecoder(signature(spec('x', 'float32', 3)), undefined, false),
    '[1,2,3]',
    [float32([3], [1, 2, 3])],
    false,
  ],
  [
    'a row with dimension 0 fixed at 1',
    createRowDecoder(signature(spec('x', 'float32', 1, 4)), undefined, false),
    '[1,2,3,4]',
    [ROW],
    true,
  ],
  ['a scalar', createRowDecoder(signature(spec('x', 'float32')), undefined, false), '7', [float32([], [7])], true],
  [
    'a scalar in brackets',
    createRowDecoder(signature(spec('x', 'float32')), undefined, false),
    '[7]',
    [float32([], [7])],
    true,
  ],
  ['a scalar for an open rank', open, '7', [float32([], [7])], true],
  ['a list for an open rank', open, '[7,8]', [float32([2], [7, 8])], false],
  ['a matrix for an open rank, by name', open, '{"x":[[7,8]]}', [float32([1, 2], [7, 8])], false],
  [
    'the inputs of a table, in any order and with or without brackets',
    table,
    '{"last visit":9007199254740993,"city":["Oslo"],"age":41}',
    [
      float32([1, 1], [41]),
      { dtype: 'string', dims: [1, 1], data: ['Oslo'] },
      { dtype: 'int64', dims: [1, 1], data: BigInt64Array.of(9007199254740993n) },
    ],
    true,
  ],
  [
    'a row long enough to be read as typed numbers',
    createRowDecoder(signature(spec('x', 'float32', -1, 1000)), undefined, true),
    JSON.stringify(new Array(1000).fill(0.5)),
    [float32([1, 1000], new Array(1000).fill(0.5))],
    true,
  ],
];

for (const [title, decoder, features, tensors, isRow] of FORMS) {
  test(`features may be ${title}`, () => {
    assert.deepEqual(decode(decoder, features), { tensors, rows: 1, isRow });
  });
}

const REFUSED: [title: string, decoder: RowDecoder, features: string, path: string, message: RegExp][] = [
  ['too few values', joined, '[1,2,3]', 'features', /4 values, got 3/],
  [
    'two values for a scalar',
    createRowDecoder(signature(spec('x', 'float32')), undefined, false),
    '[1,2]',
    'features',
    /got/,
  ],
  ['arrays of several lengths for an open rank', open, '[[1,2],[3]]', 'features[1]', /2 values.*got 1/],
  ['a bad value', joined, '[1,2,true,4]', 'features[2]', /features\[2\]/],
  ['a bad value by name', joined, '{"x":[1,2,3,"4"]}', 'features.x[3]', /features\.x\[3\]/],
  ['several rows if rows are joined', joined, '[[1,2,3,4]]', 'features', /4 values, got 1/],
  [
    'another name than the input',
    joined,
    '{"y":[1,2,3,4]}',
    'features',
    /an object with the input x, got an object with the keys y/,
  ],
  ['a name beside the input', joined, '{"x":[1,2,3,4],"y":1}', 'features.y', /no such input; its inputs are x/],
  [
    'a feature name that does not exist',
    named,
    '{"a":1,"b":2,"c":3,"f g":4}',
    'features["f g"]',
    /no such feature; the features are a, b, c, d e/,
  ],
  ['a feature that is missing', named, '{"a":1,"b":2,"c":3}', 'features["d e"]', /this feature is missing/],
  ['an input that is missing', table, '{"age":41,"city":"Oslo"}', 'features["last visit"]', /this input is missing/],
  [
    'an input that does not exist',
    table,
    '{"age":41,"town":"Oslo"}',
    'features.town',
    /no such input; its inputs are age, city, last visit/,
  ],
  [
    'a row for a model of many inputs',
    table,
    '[41,"Oslo",1]',
    'features',
    /an object with the inputs age, city, last visit, got an array of 3/,
  ],
  ['null', table, 'null', 'features', /an object with the inputs .*, got null/],
  ['a string for a number', table, '{"age":"41","city":"Oslo","last visit":1}', 'features.age', /features\.age/],
];

for (const [title, decoder, features, path, message] of REFUSED) {
  test(`features with ${title} are refused with the path ${path}`, () => {
    assert.throws(
      () => decoder.decode(json(features), 'features'),
      (error: unknown) => {
        assert.ok(error instanceof ServingError, String(error));
        assert.deepEqual([error.code, error.path], ['INVALID_INPUT', path]);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test("a caller's name is shortened in paths", () => {
  assert.throws(
    () => table.decode(json(`{"${'x y'.repeat(1000)}":1}`), 'features'),
    (error: ServingError) => error.message.length < 250 && error.path!.length < 100,
  );
});

test('inherited keys of objects are names like any other', () => {
  for (const key of ['__proto__', 'constructor', 'toString']) {
    assert.throws(() => table.decode(json(`{"${key}":1}`), 'features'), { path: `features.${key}` });
  }
  const odd = createRowDecoder(signature(spec('constructor', 'float32', -1, 1)), undefined, true);
  assert.deepEqual(decode(odd, '{"constructor":2}').tensors, [float32([1, 1], [2])]);
  assert.throws(() => odd.decode(json('{}'), 'features'), /the input constructor/);
});

test('decoding a row visits each input, or feature, a few times, however many there are', () => {
  const COUNT = 500;
  const named = (i: number): string => `name ${i}`;
  const row = json(`{${Array.from({ length: COUNT }, (_, i) => `${JSON.stringify(named(COUNT - 1 - i))}:${i}`)}}`);

  const inputs = countedArray(Array.from({ length: COUNT }, (_, i) => spec(named(i), 'float32', -1, 1)));
  const byInput = createRowDecoder({ inputs: inputs.array, outputs: [] }, undefined, true);
  const before = inputs.looks();
  assert.equal(byInput.decode(row, 'features').tensors.length, COUNT);
  assert.ok(inputs.looks() - before <= 3 * COUNT, `${inputs.looks() - before} looks at inputs`);
  const sound = inputs.looks();
  for (const bad of ['{"other":1}', '[]', '{}']) assert.throws(() => byInput.decode(json(bad), 'features'));
  assert.ok(inputs.looks() - sound <= 10, 'a short row that is refused costs little');

  const names = countedArray(Array.from({ length: COUNT }, (_, i) => named(i)));
  const byFeature = createRowDecoder(signature(spec('x', 'float32', -1, COUNT)), names.array, true);
  const built = names.looks();
  assert.deepEqual(byFeature.decode(row, 'features').tensors[0]!.data.at(0), COUNT - 1);
  assert.ok(names.looks() - built <= 3 * COUNT, `${names.looks() - built} looks at features`);
});

test('an input of JSON takes any JSON as its text, with all digits of integers, whatever names the manifest has', () => {
  const any = createRowDecoder(signature({ ...spec('features', 'string', -1), json: true }), ['a', 'b'], true);
  for (const text of [
    'null',
    '"a\\"b"',
    '12345678901234567890',
    `[${Array(40).fill('0.5')}]`,
    '{"features":{"b":[1,{"__proto__":true}]},"a":-9007199254740993}',
  ]) {
    assert.deepEqual(decode(any, text), {
      tensors: [{ dtype: 'string', dims: [1], data: [text] }],
      rows: 1,
      isRow: true,
    });
  }
});
