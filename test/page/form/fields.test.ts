import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  inWords,
  isAt,
  joinInputs,
  nest,
  planFields,
  reasonFor,
  tokenOf,
  valuesOf,
} from '../../../functions/page/form/fields.ts';
import type { ModelInfo, Spec } from '../../../functions/page/model.ts';

const spec = (name: string, dtype: string, ...shape: number[]): Spec => ({ name, dtype, shape });
const model = (inputs: Spec[], more: Partial<ModelInfo> = {}): ModelInfo => ({
  name: 'm',
  version: '1',
  inputs,
  outputs: [],
  example: { features: [] },
  ...more,
});
const labels = (inputs: Spec[], features?: string[]) =>
  planFields(model(inputs, features && { features })).flatMap(({ fields }) =>
    fields.map(({ label, kind }) => [label, kind]),
  );

test('a row of a few values has a field for each, called as the manifest calls it', () => {
  assert.deepEqual(labels([spec('x', 'float32', -1, 2)], ['age', 'height']), [
    ['age', 'number'],
    ['height', 'number'],
  ]);
  assert.deepEqual(labels([spec('x', 'int64', -1, 2)]), [
    ['x[0]', 'number'],
    ['x[1]', 'number'],
  ]);
});

test('each input of a table has a field of its kind', () => {
  const inputs = [spec('age', 'float32', -1, 1), spec('city', 'string', -1, 1), spec('member', 'bool', -1)];
  assert.deepEqual(labels(inputs), [
    ['age', 'number'],
    ['city', 'text'],
    ['member', 'bool'],
  ]);
});

test('higher ranks, free dimensions and long rows are asked for as JSON or a file', () => {
  for (const shape of [
    [-1, 3, 4],
    [-1, -1],
    [-1, 784],
    [5, 5],
  ]) {
    assert.deepEqual(labels([spec('x', 'float32', ...shape)]), [['x', 'tensor']], String(shape));
  }
});

test('an input of any rank is asked for as JSON or a file', () => {
  assert.deepEqual(labels([{ ...spec('x', 'float32'), anyRank: true }]), [['x', 'tensor']]);
});

test('a field knows how the server names its place', () => {
  const paths = (inputs: Spec[]) => planFields(model(inputs)).flatMap(({ fields }) => fields.map(({ path }) => path));
  assert.deepEqual(paths([spec('x', 'float32', -1, 2)]), ['features[0]', 'features[1]']);
  assert.deepEqual(paths([spec('age', 'float32', -1, 1), spec('net/in 0', 'float32', -1)]), [
    'features.age',
    'features["net/in 0"]',
  ]);
});

test('what is typed becomes JSON that says the same, or nothing', () => {
  const cases: [dtype: string, typed: string, token: string | undefined][] = [
    ['float32', ' 5.1 ', '5.1'],
    ['float32', '1e-3', '1e-3'],
    ['float32', '.5', '0.5'],
    ['float32', '+2', '2'],
    ['float32', 'nan', '"NaN"'],
    ['float32', '-Inf', '"-Infinity"'],
    ['float32', '5,1', undefined],
    ['float32', ' ', '"NaN"'],
    ['int64', '', undefined],
    ['float32', '0x10', '16'],
    ['int64', '9007199254740993', '9007199254740993'],
    ['int64', '-007', '-7'],
    ['int64', '+9007199254740993', '9007199254740993'],
    ['int64', 'NaN', undefined],
    ['bool', 'TRUE', 'true'],
    ['bool', '0', 'false'],
    ['bool', 'maybe', undefined],
    ['string', ' "a"\n', '" \\"a\\"\\n"'],
  ];
  for (const [dtype, typed, token] of cases) {
    assert.equal(tokenOf(dtype, typed), token, `${dtype} ${typed}`);
    if (token !== undefined) JSON.parse(token);
  }
});

test('values are nested as the shape says', () => {
  assert.equal(nest(['1'], []), '1');
  assert.equal(nest(['1', '2', '3', '4'], [2, 2]), '[[1,2],[3,4]]');
  assert.equal(nest(['1', '2', '3', '4'], [-1, 2]), '[[1,2],[3,4]]');
  assert.equal(nest(['1', '2', '3'], [-1]), '[1,2,3]');
});

test('the features of one input have no name, those of several are by name', () => {
  assert.equal(joinInputs([spec('x', 'float32', -1, 1)], ['[1]']), '[1]');
  assert.equal(joinInputs([spec('a', 'float32'), spec('"', 'float32')], ['1', '2']), '{"a":1,"\\"":2}');
});

test('a row of many values has a field for each if they have names', () => {
  const names = Array.from({ length: 200 }, (_, i) => `feature ${i}`);
  assert.equal(labels([spec('x', 'float32', -1, 200)], names).length, 200);
  assert.equal(labels([spec('x', 'float32', -1, 200)]).length, 1);
});

test('categories are those of a feature, or else of all values of an input', () => {
  const kinds = (inputs: Spec[], more: Partial<ModelInfo>) =>
    planFields(model(inputs, more)).flatMap(({ fields }) => fields.map(({ kind, categories }) => categories ?? kind));
  const one = [spec('x', 'float32', -1, 2)];
  assert.deepEqual(kinds(one, { features: ['a', 'b'], categories: { b: [0, 1] } }), ['number', [0, 1]]);
  assert.deepEqual(kinds(one, { categories: { x: [7] } }), [[7], [7]]);
  const table = [spec('age', 'float32', -1, 1), spec('constructor', 'string', -1, 1)];
  assert.deepEqual(kinds(table, { categories: { age: [1] } }), [[1], 'text']);
});

test("a server's error is said in the name of the field that it is about", () => {
  const field = { path: 'features[1]', label: 'sepal_width' };
  assert.ok(isAt('features[1]', field.path) && isAt('features[1][0]', field.path));
  assert.ok(!isAt('features[10]', field.path) && !isAt('features', field.path));
  assert.equal(inWords('features[1]: expected a number', field), 'sepal_width: expected a number');
  assert.equal(inWords('something else', field), 'something else');
});

test('an empty field says that its dtype has no missing value', () => {
  assert.match(reasonFor('int64', ' '), /empty, and int64 has no missing value/);
  assert.doesNotMatch(reasonFor('int64', 'x'), /empty/);
});

test('an example is spread over the fields, in whichever form it has', () => {
  const one = model([spec('x', 'float32', -1, 2)], { features: ['a', 'b'] });
  const put = (given: unknown, of = one) => valuesOf(of, planFields(of), given);
  for (const given of [[1, 2.5], { b: 2.5, a: 1 }, { x: [1, 2.5] }]) assert.deepEqual(put(given), [[1, 2.5]]);
  const two = model([spec('n', 'int64', -1, 1), spec('image', 'uint8', -1, 2, 2)]);
  assert.deepEqual(
    put(
      {
        n: 9_007_199_254_740_993n,
        image: [
          [1, 2],
          [3, 4],
        ],
      },
      two,
    ),
    [
      [9_007_199_254_740_993n],
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ],
  );
});
