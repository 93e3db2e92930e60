import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import type { Generation } from '../../../functions/model/serving/generation.ts';
import { readPredictBody, writePrediction } from '../../../functions/routes/native/prediction.ts';
import { readJson } from '../../../functions/tensor/json/reader.ts';

const rows = createRowDecoder(
  { inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 2] }], outputs: [] },
  undefined,
  true,
);
const live = { rows } as unknown as Generation;
const encoder = { labels: undefined, encode: () => '"prediction":1' };
const read = (text: string, place?: string) => readPredictBody(readJson(Buffer.from(text)), live, place);

test('a body has its features, and nothing else', () => {
  assert.deepEqual(read('{"features":[1,2]}').tensors[0]!.data, Float32Array.of(1, 2));
});

const REFUSED: [title: string, text: string, path: string | undefined, message: RegExp][] = [
  ['no features', '{}', 'features', /^features: is missing; a body is \{"features": …\}$/],
  ['another key', '{"feature":[1,2]}', 'features', /features: is missing/],
  ['a key too many', '{"features":[1,2],"id":7}', undefined, /^the body: .*"id"; a body is/],
  ['a thousand keys', `{${Array.from({ length: 1000 }, (_, i) => `"key ${i}":1`)}}`, 'features', /^.{1,250}$/],
  ['an array', '[1,2]', undefined, /^the body: .*expected an object/],
  ['a long array of numbers', `[${new Array(5000).fill(1)}]`, undefined, /^the body: .*expected an object.{1,200}$/],
  ['null', 'null', undefined, /^the body: .*expected an object/],
  ['a string', '"features"', undefined, /^the body: .*expected an object/],
  ['the key of every object', '{"__proto__":{"features":[1,2]}}', 'features', /features: is missing/],
  ['features of null', '{"features":null}', 'features', /^features: /],
  ['bad features', '{"features":[1]}', 'features', /2 values, got 1/],
];

for (const [title, text, path, message] of REFUSED) {
  test(`a body with ${title} is refused by its path`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => {
        assert.ok(error instanceof ServingError, String(error));
        assert.deepEqual([error.code, error.path], ['INVALID_INPUT', path]);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test('the error of a body inside another has its place', () => {
  assert.throws(() => read('{"features":[1]}', '[3]'), { path: '[3].features', message: /^\[3\]\.features: / });
  assert.throws(() => read('7', '[3]'), { path: '[3]', message: /^\[3\]: / });
  assert.throws(() => read('{}', '[3]'), { path: '[3].features' });
});

test("a row's own error is thrown, else its prediction is written", () => {
  const feeds = read('{"features":[1,2]}');
  assert.equal(writePrediction({ rows: 1, outputs: [], first: 0 }, feeds, encoder), '"prediction":1');
  const error = new ServingError('MODEL_FAILED', 'no');
  assert.throws(() => writePrediction({ rows: 1, error }, feeds, encoder), error);
});
