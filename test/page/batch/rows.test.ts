import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineMaker } from '../../../functions/page/batch/rows.ts';
import type { ModelInfo, Spec } from '../../../functions/page/model.ts';

const model = (inputs: Spec[], features?: string[]): ModelInfo => ({
  name: 'm',
  version: '1',
  inputs,
  outputs: [],
  example: { features: [] },
  ...(features !== undefined && { features }),
});
const IRIS = model([{ name: 'x', dtype: 'float32', shape: [-1, 2] }], ['long', 'wide']);
const TABLE = model([
  { name: 'age', dtype: 'int64', shape: [-1, 1] },
  { name: 'city', dtype: 'string', shape: [-1, 1] },
  { name: 'grid', dtype: 'float32', shape: [-1, 2, 2] },
]);

function bodies(of: ModelInfo, text: string): string[] {
  const maker = createLineMaker(of);
  return [...maker.push(text), ...maker.end()].map(({ body }) => body);
}

const CASES: [title: string, of: ModelInfo, text: string, bodies: string[]][] = [
  ['CSV without a header', IRIS, '1,2\n3,4\n', ['{"features":[1,2]}', '{"features":[3,4]}']],
  ['a header in another order, with more columns', IRIS, 'id,wide,long\na,2,1\n', ['{"features":[1,2]}']],
  ['a header with names of its own', IRIS, 'a,b\n1,2\n', ['{"features":[1,2]}']],
  ['a byte order mark', IRIS, '\uFEFFlong,wide\n1,2\n', ['{"features":[1,2]}']],
  [
    'an empty cell as a missing value, and one that is no number for the server to refuse',
    IRIS,
    '1,2\n,x\n',
    ['{"features":[1,2]}', '{"features":["NaN","x"]}'],
  ],
  ['a row that is too short, too', IRIS, '1,2\n1\n', ['{"features":[1,2]}', '{"features":[1]}']],
  ['NDJSON', IRIS, '{"features":[1,2]}\n\n {"features":[3,4]}', ['{"features":[1,2]}', '{"features":[3,4]}']],
  ['features alone, a line', IRIS, '[1,2]\r\n', ['{"features":[1,2]}']],
  [
    'several inputs by name, one of them as JSON',
    TABLE,
    'city,age,grid\n"Oslo, N",9007199254740993,"[[1,2],[3,4]]"\n',
    ['{"features":{"age":9007199254740993,"city":"Oslo, N","grid":[[1,2],[3,4]]}}'],
  ],
  [
    'a column for each value of an image',
    model([{ name: 'image', dtype: 'uint8', shape: [-1, 2, 2] }]),
    '1,2,3,4\n',
    ['{"features":[[1,2],[3,4]]}'],
  ],
  [
    'rows of any length',
    model([{ name: 'x', dtype: 'float32', shape: [-1, -1] }]),
    '1,2,3\n4\n',
    ['{"features":[1,2,3]}', '{"features":[4]}'],
  ],
  ['scalars', model([{ name: 'x', dtype: 'float32', shape: [-1] }]), 'x\n1\n', ['{"features":1}']],
];

for (const [title, of, text, expected] of CASES) test(`${title}`, () => assert.deepEqual(bodies(of, text), expected));

test('the columns of a file say what each is for, and rows keep their cells', () => {
  const maker = createLineMaker(IRIS);
  const [line] = maker.push('id,wide,long\na7,2,1\n');
  assert.deepEqual(line?.cells, ['a7', '2', '1']);
  const { names, uses } = maker.table()!;
  assert.deepEqual(
    [names, uses],
    [
      ['id', 'wide', 'long'],
      [undefined, 'wide', 'long'],
    ],
  );
  const bare = createLineMaker(IRIS);
  bare.push('1,2,3\n');
  assert.deepEqual(bare.table()!.names, ['long', 'wide', 'column 3']);
});

test('a failure is explained in the name of the column; an empty cell without a missing value says so', () => {
  const maker = createLineMaker(TABLE);
  const [line] = maker.push('city,age,grid\nOslo,,"[[1]]"\n');
  assert.equal(line?.body, '{"features":{"age":"","city":"Oslo","grid":[[1]]}}');
  const { explain } = maker.table()!;
  assert.match(
    explain('features.age: no', 'features.age', line.cells),
    /^age: it is empty, and int64 has no missing value/,
  );
  assert.equal(explain('features.age: expected an integer', 'features.age', ['a', 'x']), 'age: expected an integer');
  assert.equal(explain('features.grid[0]: expected 2', 'features.grid[0]', line.cells), 'grid[0]: expected 2');
  assert.equal(explain('the model failed', undefined, line.cells), 'the model failed');
});

test('the values of an image have paths of their own', () => {
  const maker = createLineMaker(model([{ name: 'image', dtype: 'uint8', shape: [-1, 2, 2] }]));
  maker.push('1,2,x,4\n');
  const { explain } = maker.table()!;
  assert.equal(
    explain('features[1][0]: expected a number', 'features[1][0]', ['1', '2', 'x', '4']),
    'image[2]: expected a number',
  );
});

test('a header that lacks a column is refused, and the column named', () => {
  assert.throws(() => bodies(IRIS, 'long,width\n1,2\n'), /no column wide/);
});

test('a line that never ends is refused before it fills the memory', () => {
  const maker = createLineMaker(IRIS);
  maker.push('{');
  assert.throws(() => {
    for (let i = 0; i < 40; i++) maker.push(' '.repeat(2 ** 20));
  }, /longer than 32 MB/);
});
