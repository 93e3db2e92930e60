import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromJson, fromNpy, typicalValue } from '../../../functions/page/form/tensor.ts';
import { nestedShape, type Spec } from '../../../functions/page/model.ts';
import { header, npy } from './npy-file.ts';

const spec = (dtype: string, ...shape: number[]): Spec => ({ name: 'image', dtype, shape });
const floats = (shape: string, ...values: number[]): Uint8Array =>
  npy(header('<f4', shape), new Uint8Array(Float32Array.from(values).buffer));

test('a .npy file becomes nested JSON, in as few digits as its dtype needs', () => {
  const { json, title, shape } = fromNpy(
    spec('float32', -1, 2, 2),
    'a.npy',
    floats('(2, 2)', 0.1, 1e-7, Number.NaN, 16_777_216),
  );
  assert.equal(json(), '[[0.1,1e-7],["NaN",16777216]]');
  assert.equal(title, 'a.npy: float32 [2, 2]');
  assert.deepEqual(shape, [2, 2]);
});

test('every float32 is read back from its JSON', () => {
  const values = Array.from({ length: 500 }, (_, i) => Math.fround(Math.sin(i) * 10 ** ((i % 60) - 30)));
  const { json } = fromNpy(spec('float32', -1, 500), 'a.npy', floats('(500,)', ...values));
  assert.deepEqual(JSON.parse(json()).map(Math.fround), values);
});

test('a batch of one is its row; free dimensions have any length', () => {
  assert.equal(fromNpy(spec('float32', -1, 2), 'a.npy', floats('(1, 2)', 1, 2)).json(), '[1,2]');
  assert.equal(fromNpy(spec('float32', -1, -1), 'a.npy', floats('(3,)', 1, 2, 3)).json(), '[1,2,3]');
  assert.equal(fromNpy(spec('float32', 2, 2), 'a.npy', floats('(2, 2)', 1, 2, 3, 4)).json(), '[[1,2],[3,4]]');
});

test('another shape is refused with both shapes, and another dtype with both dtypes', () => {
  const file = floats('(2, 1)', 1, 2);
  assert.throws(
    () => fromNpy(spec('float32', -1, 1, 2), 'a.npy', file),
    /image takes the shape \[1, 2\], and the file has \[2, 1\]/,
  );
  for (const dtype of ['int64', 'string', 'bool'])
    assert.throws(
      () => fromNpy(spec(dtype, -1, 2, 1), 'a.npy', file),
      new RegExp(`takes ${dtype}, and the file has float32`),
    );
});

test('an int64 keeps its digits, and integers are numbers for floats', () => {
  const bytes = npy(header('<i8', '(1,)'), new Uint8Array(BigInt64Array.of(9_007_199_254_740_993n).buffer));
  assert.equal(fromNpy(spec('int64', -1, 1), 'a.npy', bytes).json(), '[9007199254740993]');
  assert.equal(fromNpy(spec('float64', -1, 1), 'a.npy', bytes).json(), '[9007199254740993]');
});

test('a JSON file is a text if it is short, and a value of its shape if it is long', () => {
  assert.equal(fromJson(spec('int64', -1, -1), 'a.json', ' [1,\n 9007199254740993] '), '[1,9007199254740993]');
  const long = JSON.stringify(Array.from({ length: 100 }, () => Array.from({ length: 100 }, (_, i) => i)));
  const value = fromJson(spec('float32', -1, 100, 100), 'a.json', long);
  assert.ok(typeof value === 'object');
  assert.deepEqual([value.shape, value.at(101), value.json()], [[100, 100], 1, long]);
  assert.throws(() => fromJson(spec('float32', -1, 2), 'a.json', 'no'), SyntaxError);
});

test('an input without an example gets typical values: zeros, ones of a mask, texts, and pictures of more than a pixel', () => {
  const typical = (name: string, dtype: string, ...shape: number[]) => typicalValue({ name, dtype, shape });
  assert.equal(typical('x', 'float32', -1, 2, 2).json(), '[[0,0],[0,0]]');
  assert.equal(typical('attention_mask', 'int64', -1, -1).json(), '[1]');
  assert.equal(typical('x', 'string', -1, 2).json(), '["a","a"]');
  assert.equal(typical('x', 'bool', -1).json(), 'true');
  assert.deepEqual(typical('x', 'float32', -1, 3, -1, -1).shape, [3, 224, 224]);
  assert.equal(JSON.parse(typical('x', 'float32', -1, 3, -1, -1).json()).flat(3).length, 3 * 224 * 224);
});

test('the lengths of nested arrays are those of their first elements', () => {
  assert.deepEqual(
    nestedShape([
      [[1], [2]],
      [[3], [4]],
    ]),
    [2, 2, 1],
  );
  assert.deepEqual(nestedShape(5), []);
});
