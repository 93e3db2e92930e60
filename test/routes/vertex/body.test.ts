import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRowDecoder } from '../../../functions/model/folder/rows.ts';
import { readVertexBody } from '../../../functions/routes/vertex/body.ts';

const rows = createRowDecoder(
  {
    inputs: [{ name: 'x', dtype: 'float32', shape: [-1, 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [-1] }],
  },
  undefined,
  true,
);
const read = (text: string) => readVertexBody(Buffer.from(text), rows);

test('the keys of a body say which dialect it is in', () => {
  const bodies: [string, string][] = [
    ['{"instances":[[1,2]]}', 'instances'],
    ['{"parameters":{"a":[1]},"instances":[[1,2]],"more":0}', 'instances'],
    ['{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}', 'infer'],
    ['{"features":[1,2]}', 'features'],
    // What has instances is Vertex AI's, whatever else it has.
    ['{"features":[9,9],"instances":[[1,2]]}', 'instances'],
  ];
  for (const [text, form] of bodies) assert.equal(read(text).form, form, text);
});

test('each is read as its own dialect reads it', () => {
  const infer = read('{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}');
  assert.ok(infer.form === 'infer');
  assert.equal(infer.request.id, 'a');
  assert.throws(() => read('{"instances":[[1,2],[1]]}'), { path: 'instances[1]' });
  assert.throws(() => read('{"features":[1]}'), { path: 'features' });
  assert.throws(() => read('{"inputs":[]}'), { code: 'INVALID_INPUT' });
});

test('the error of a body in no known dialect lists the dialects', () => {
  const message = /\{"instances": \[row, …\]\}.*Open Inference Protocol.*\{"features": …\}/;
  for (const text of ['{}', '[]', '[[1,2]]', 'null', '"instances"', '7', '{"inputs":{"x":[[1,2]]}}', '{"a":1}']) {
    assert.throws(() => read(text), { code: 'INVALID_INPUT', message }, text);
  }
});

test('NaN without quotes is refused with how to send it, and null in a float of an Open Inference body is NaN', () => {
  const infer = read('{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[null,2]}]}');
  assert.ok(infer.form === 'infer');
  assert.deepEqual(infer.request.tensors[0]!.data, Float32Array.of(Number.NaN, 2));
  assert.throws(() => read('{"instances":[[1,NaN]]}'), { message: /send "NaN", "Infinity" or "-Infinity" in quotes/ });
});
