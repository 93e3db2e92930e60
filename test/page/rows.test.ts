import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelInfo, Spec } from '../../functions/page/fields.ts';
import { createLineMaker } from '../../functions/page/rows.ts';

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
  return [...maker.push(text), ...maker.end()];
}

const CASES: [title: string, of: ModelInfo, text: string, bodies: string[]][] = [
  ['CSV without a header', IRIS, '1,2\n3,4\n', ['{"features":[1,2]}', '{"features":[3,4]}']],
  ['a header in another order, with more columns', IRIS, 'id,wide,long\na,2,1\n', ['{"features":[1,2]}']],
  ['a header with names of its own', IRIS, 'a,b\n1,2\n', ['{"features":[1,2]}']],
  ['a byte order mark', IRIS, '\uFEFFlong,wide\n1,2\n', ['{"features":[1,2]}']],
  [
    'a cell that is no number, for the server to refuse',
    IRIS,
    '1,2\n,x\n',
    ['{"features":[1,2]}', '{"features":["","x"]}'],
  ],
  ['a row that is too short, too', IRIS, '1,2\n1\n', ['{"features":[1,2]}', '{"features":[1]}']],
  ['NDJSON', IRIS, '{"features":[1,2]}\n\n {"features":[3,4]}', ['{"features":[1,2]}', '{"features":[3,4]}']],
  ['features alone, a line', IRIS, '[1,2]\r\n', ['{"features":[1,2]}']],
  [
    'several inputs by name, one of them as JSON',
    TABLE,
    'city,age,grid\n"Oslo, N",9007199254740993,"[[1,2],[3,4]]"\n',
    ['{"features":{"age":[9007199254740993],"city":["Oslo, N"],"grid":[[1,2],[3,4]]}}'],
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
