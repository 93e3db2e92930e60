import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRowDecoder, type RowDecoder } from '../../../functions/model/folder/rows.ts';
import { type Instances, readInstances } from '../../../functions/routes/instances/instances.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import type { TensorSpec } from '../../../functions/tensor/tensor.ts';

const spec = (name: string, shape: number[], dtype: TensorSpec['dtype'] = 'float32'): TensorSpec => ({
  name,
  dtype,
  shape,
});
const decoder = (inputs: TensorSpec[], joinsRows = true, names?: string[]): RowDecoder =>
  createRowDecoder({ inputs, outputs: [] }, names, joinsRows);
const read = (rows: RowDecoder, text: string): Instances => readInstances(readJson(Buffer.from(text)), rows);
/** By group: where its rows stand, and the values and dims of each tensor. */
const shown = ({ groups }: Instances) =>
  groups.map(({ feeds, places }) => [places, ...feeds.tensors.map((tensor) => [[...tensor!.data], tensor!.dims])]);

const two = decoder([spec('x', [-1, 2])], true, ['a', 'b']);
const column = decoder([spec('x', [-1, 1])]);
const scalar = decoder([spec('x', [-1])]);
const free = decoder([spec('x', [-1, -1])]);
const words = decoder([spec('word', [-1, 1], 'string')]);
const several = decoder([spec('age', [-1, 1]), spec('city', [-1, 1], 'string')]);

describe('every form of an instance', () => {
  const forms: [title: string, rows: RowDecoder, text: string, values: unknown[], dims: number[]][] = [
    ['values', two, '[[1,2],[3,4]]', [1, 2, 3, 4], [2, 2]],
    ['features', two, '[{"features":[1,2]},{"features":[3,4]}]', [1, 2, 3, 4], [2, 2]],
    ['features by name', two, '[{"features":{"b":2,"a":1}}]', [1, 2], [1, 2]],
    ['names of features', two, '[{"b":2,"a":1}]', [1, 2], [1, 2]],
    ['the name of the input', two, '[{"x":[1,2]}]', [1, 2], [1, 2]],
    ['all of these', two, '[[1,2],{"x":[3,4]},{"features":[5,6]},{"a":7,"b":8}]', [1, 2, 3, 4, 5, 6, 7, 8], [4, 2]],
    ['a value without brackets', column, '[1,2,3]', [1, 2, 3], [3, 1]],
    ['values with and without', column, '[[1],2,{"x":3}]', [1, 2, 3], [3, 1]],
    ['a scalar', scalar, '[1,2]', [1, 2], [2]],
    ['a text', words, '["Oslo",["Rome"]]', ['Oslo', 'Rome'], [2, 1]],
    [
      'bytes',
      words,
      '[{"b64":"T3Nsbw=="},[{"b64":"Um9tZQ=="}],{"word":{"b64":"T3Nsbw=="}}]',
      ['Oslo', 'Rome', 'Oslo'],
      [3, 1],
    ],
  ];
  for (const [title, rows, text, values, dims] of forms) {
    test(`${title}: rows of one tensor`, () => {
      assert.deepEqual(shown(read(rows, text)), [[undefined, [values, dims]]]);
    });
  }

  test('an object of inputs, of which those with text may be bytes', () => {
    const text = '[{"age":1,"city":"Oslo"},{"city":{"b64":"Um9tZQ=="},"age":[2]}]';
    const tensors = [
      [
        [1, 2],
        [2, 1],
      ],
      [
        ['Oslo', 'Rome'],
        [2, 1],
      ],
    ];
    assert.deepEqual(shown(read(several, text)), [[undefined, ...tensors]]);
  });

  test('many, which are read as one tensor or one by one, give the same', () => {
    const rows = Array.from({ length: 100 }, (_, i) => [i, -i]);
    const atOnce = shown(read(two, JSON.stringify(rows)));
    assert.deepEqual(shown(read(two, JSON.stringify([...rows.slice(0, 99), { x: rows[99] }]))), atOnce);
    assert.deepEqual(shown(read(scalar, JSON.stringify(rows.map(([i]) => i)))), [
      [undefined, [rows.map(([i]) => i), [100]]],
    ]);
  });
});

test('rows of different shapes are grouped separately, and keep their places', () => {
  assert.deepEqual(shown(read(free, '[[1],[2,3],[4],[5,6]]')), [
    [
      [0, 2],
      [
        [1, 4],
        [2, 1],
      ],
    ],
    [
      [1, 3],
      [
        [2, 3, 5, 6],
        [2, 2],
      ],
    ],
  ]);
});

test('rows that are not joined are each alone, and may be entire tensors', () => {
  const groups = read(decoder([spec('x', [-1, 2])], false), '[[1,2],[[3,4],[5,6]]]');
  assert.deepEqual(shown(groups), [
    [
      [0],
      [
        [1, 2],
        [1, 2],
      ],
    ],
    [
      [1],
      [
        [3, 4, 5, 6],
        [2, 2],
      ],
    ],
  ]);
  assert.deepEqual(
    groups.groups.map(({ isRow }) => isRow),
    [true, false],
  );
});

const REFUSED: [title: string, rows: RowDecoder, text: string, path: string, message: RegExp][] = [
  ['no array', two, '{"a":1}', 'instances', /^instances: expected an array/],
  ['no instance', two, '[]', 'instances', /at least one/],
  ['too many', scalar, `[${new Array(32_769).fill(1)}]`, 'instances', /at most 32768, got 32769/],
  [
    'too many that run alone',
    decoder([spec('x', [1])], false),
    `[${new Array(4097).fill(1)}]`,
    'instances',
    /at most 4096/,
  ],
  ['a bad value', two, '[[1,2],[3,"x"]]', 'instances[1][1]', /^instances\[1\]\[1\]: expected a number/],
  ['a short row', two, '[[1,2],[3]]', 'instances[1]', /expected 2 values, got 1/],
  ['a bad value among rows of several lengths', free, '[[1],[2,3],[true]]', 'instances[2][0]', /number/],
  ['a bad one in another form', two, '[[1,2],{"x":[1,null]}]', 'instances[1].x[1]', /number/],
  ['a bad feature', two, '[{"features":[1,2]},{"features":{"a":1}}]', 'instances[1].features.b', /missing/],
  ['an unknown input', several, '[{"age":1,"town":"Oslo"}]', 'instances[0].town', /its inputs are age, city/],
  ['values for several inputs', several, '[[1,2]]', 'instances[0]', /an object with the inputs age, city/],
  ['bytes for numbers', two, '[{"b64":"AAAA"}]', 'instances[0].b64', /no such feature/],
  ['null', two, '[null]', 'instances[0]', /expected/],
];
for (const [title, rows, text, path, message] of REFUSED) {
  test(`refused by its path: ${title}`, () => {
    assert.throws(() => read(rows, text), { code: 'INVALID_INPUT', path, message });
  });
}

test('an instance of a model that takes any JSON is any JSON', () => {
  const any = decoder([{ ...spec('features', [-1], 'string'), json: true }]);
  const text = '["a",{"b64":"YQ=="},[1,2],{"features":{"x":1}},7]';
  assert.deepEqual(shown(read(any, text)), [[undefined, [['"a"', '{"b64":"YQ=="}', '[1,2]', '{"x":1}', '7'], [5]]]]);
  assert.deepEqual(shown(read(any, '[[1,2],[3,4]]')), [[undefined, [['[1,2]', '[3,4]'], [2]]]]);
});
