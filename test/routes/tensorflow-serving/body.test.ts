import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowDecoder, type RowDecoder } from '../../../functions/model/folder/rows.ts';
import { readTensorFlowBody } from '../../../functions/routes/tensorflow-serving/body.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';
import type { TensorSpec } from '../../../functions/tensor/tensor.ts';
import { countedArray } from '../../helpers/counted-array.ts';

const decoder = (...inputs: TensorSpec[]): RowDecoder => createRowDecoder({ inputs, outputs: [] }, undefined, true);
const read = (rows: RowDecoder, text: string) => readTensorFlowBody(readJson(Buffer.from(text)), rows);
const two = decoder({ name: 'x', dtype: 'float32', shape: [-1, 2] });
const column = decoder({ name: 'x', dtype: 'float32', shape: [-1, 1] });
const scalar = decoder({ name: 'x', dtype: 'float32', shape: [] });
const open = decoder({ name: 'x', dtype: 'float32', shape: [], anyRank: true });
const word = decoder({ name: 'word', dtype: 'string', shape: [-1] });
const several = decoder(
  { name: 'tag', dtype: 'string', shape: [-1] },
  { name: 'signal', dtype: 'int32', shape: [-1, 3] },
);

test('instances are rows, inputs are whole tensors', () => {
  const rows = read(two, '{"instances":[[1,2],[3,4]]}');
  assert.ok(rows.form === 'row');
  assert.deepEqual(rows.instances.groups[0]!.feeds.tensors[0]!.dims, [2, 2]);
  const columns = read(two, '{"inputs":[[1,2],[3,4]]}');
  assert.ok(columns.form === 'column');
  assert.deepEqual(columns.tensors, [{ dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]);
});

const COLUMNS: [title: string, rows: RowDecoder, inputs: string, tensors: [values: unknown[], dims: number[]][]][] = [
  [
    'of the one input, by its name',
    two,
    '{"x":[[1,2]]}',
    [
      [
        [1, 2],
        [1, 2],
      ],
    ],
  ],
  // "Specifying input tensors in column format", g3doc/api_rest.md.
  [
    'of several inputs, by name',
    several,
    '{"signal":[[1,2,3],[3,4,1]],"tag":["foo","bar"]}',
    [
      [['foo', 'bar'], [2]],
      [
        [1, 2, 3, 3, 4, 1],
        [2, 3],
      ],
    ],
  ],
  [
    'of values without brackets',
    column,
    '[1,2,3]',
    [
      [
        [1, 2, 3],
        [3, 1],
      ],
    ],
  ],
  ['of one value', scalar, '5', [[[5], []]]],
  ['of one value in brackets', scalar, '[5]', [[[5], []]]],
  [
    'of any rank',
    open,
    '[[5,6]]',
    [
      [
        [5, 6],
        [1, 2],
      ],
    ],
  ],
  ['of bytes', word, '[{"b64":"Zm9v"},"bar"]', [[['foo', 'bar'], [2]]]],
  [
    'of bytes by name',
    several,
    '{"tag":[{"b64":"Zm9v"}],"signal":[[1,2,3]]}',
    [
      [['foo'], [1]],
      [
        [1, 2, 3],
        [1, 3],
      ],
    ],
  ],
  ['of no rows', two, '[]', [[[], [0, 2]]]],
];
for (const [title, rows, inputs, tensors] of COLUMNS) {
  test(`a column ${title}`, () => {
    const body = read(rows, `{"inputs":${inputs}}`);
    assert.ok(body.form === 'column');
    assert.deepEqual(
      body.tensors.map(({ data, dims }) => [[...data], dims]),
      tensors,
    );
  });
}

test('the signature is serving_default, or nothing; other keys are passed over', () => {
  for (const name of ['"serving_default"', '""']) {
    assert.equal(read(two, `{"signature_name":${name},"instances":[[1,2]],"more":1}`).form, 'row');
  }
});

const REFUSED: [title: string, rows: RowDecoder, text: string, path: string | undefined, message: RegExp][] = [
  ['both forms', two, '{"instances":[[1,2]],"inputs":[[1,2]]}', undefined, /instances and inputs: send one/],
  ['neither form', two, '{"examples":[]}', undefined, /neither instances nor inputs/],
  ['an array', two, '[[1,2]]', undefined, /^the body: expected an object/],
  ['null', two, 'null', undefined, /^the body: expected an object/],
  ['another signature', two, '{"signature_name":"regress","instances":[[1,2]]}', 'signature_name', /"regress"/],
  ['a signature that is no text', two, '{"signature_name":100,"instances":[[1,2]]}', 'signature_name', /got 100/],
  ['no instance', two, '{"instances":[]}', 'instances', /at least one/],
  ['a column of the wrong shape', two, '{"inputs":[[1,2],[3]]}', 'inputs[1]', /expected 2 values.*got 1/],
  [
    'an unknown input',
    several,
    '{"inputs":{"tag":["a"],"tags":["a"]}}',
    'inputs',
    /no input "tags"; its inputs are tag, signal/,
  ],
  ['an input that is missing', several, '{"inputs":{"tag":["a"]}}', 'inputs.signal', /missing/],
  ['one tensor for several inputs', several, '{"inputs":[[1,2,3]]}', 'inputs', /an object with the inputs tag, signal/],
  ['bytes for several inputs', several, '{"inputs":{"b64":"Zm9v"}}', 'inputs', /an object with the inputs/],
];
for (const [title, rows, text, path, message] of REFUSED) {
  test(`refused: ${title}`, () => {
    assert.throws(() => read(rows, text), { code: 'INVALID_INPUT', path, message });
  });
}

test('to read columns looks at each input a few times, however many there are', () => {
  const COUNT = 500;
  const inputs = countedArray(
    Array.from({ length: COUNT }, (_, i): TensorSpec => ({ name: `in${i}`, dtype: 'float32', shape: [-1, 1] })),
  );
  const rows = createRowDecoder({ inputs: inputs.array, outputs: [] }, undefined, true);
  const before = inputs.looks();
  const columns = Array.from({ length: COUNT }, (_, i) => `"in${COUNT - 1 - i}":[1]`);
  assert.equal(read(rows, `{"inputs":{${columns}}}`).form, 'column');
  assert.ok(inputs.looks() - before <= 4 * COUNT, `${inputs.looks() - before} looks at inputs`);
});
