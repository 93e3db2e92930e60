import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FormatName } from '../../../../functions/cli/loadtest/requests/format-names.ts';
import { FORMATS, writeRequests } from '../../../../functions/cli/loadtest/requests/formats.ts';
import type { LiveModel } from '../../../../functions/cli/loadtest/requests/live-model.ts';
import { exampleRow, type Row } from '../../../../functions/cli/loadtest/requests/rows.ts';
import type { JsonValue } from '../../../../functions/tensor/json/reader.ts';
import type { TensorSpec } from '../../../../functions/tensor/tensor.ts';

function modelOf(inputs: readonly TensorSpec[], example?: JsonValue): LiveModel {
  const form = { signature: { inputs, outputs: [] }, names: undefined, joinsRows: true };
  return { name: 'a/b', version: '1', form, example, golden: [], vertexPath: '/vertex/predict' };
}

const ONE = modelOf([{ name: 'x', dtype: 'float32', shape: [-1, 2] }], [1.5, -2]);
const TWO = modelOf(
  [
    { name: 'id', dtype: 'int64', shape: [-1, 1] },
    { name: 'text', dtype: 'string', shape: [-1] },
  ],
  { id: [9007199254740993n], text: 'a"b' },
);

const rowsOf = (model: LiveModel): readonly Row[] => exampleRow(model).rows;
const bodyOf = (format: FormatName, model: LiveModel, rows = 1): string =>
  Buffer.from(
    FORMATS[format].write(
      Array.from({ length: rows }, () => rowsOf(model)[0]!),
      model,
    ).body as string,
  ).toString('latin1');

test('each format has the body and the path of its protocol', () => {
  assert.equal(bodyOf('native', ONE), '{"features":[1.5,-2]}');
  assert.equal(bodyOf('oip', ONE), '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[1.5,-2]}]}');
  assert.equal(bodyOf('tensorflow', ONE), '{"instances":[[1.5,-2]]}');
  assert.equal(bodyOf('vertex', ONE), '{"instances":[[1.5,-2]]}');
  const paths = Object.values(FORMATS).map(({ path }) => path(ONE, false));
  assert.deepEqual(paths, [
    '/models/a%2Fb/predict',
    '/v2/models/a%2Fb/infer',
    '/v2/models/a%2Fb/infer',
    '/v1/models/a%2Fb:predict',
    '/vertex/predict',
  ]);
  assert.equal(FORMATS.native.path(ONE, true), '/predict');
});

test('several inputs are named, and an int64 keeps its digits', () => {
  assert.equal(bodyOf('native', TWO), '{"features":{"id":[9007199254740993],"text":"a\\"b"}}');
  assert.equal(bodyOf('tensorflow', TWO), '{"instances":[{"id":[9007199254740993],"text":"a\\"b"}]}');
  assert.equal(
    bodyOf('oip', TWO),
    '{"inputs":[{"name":"id","datatype":"INT64","shape":[1,1],"data":[9007199254740993]},{"name":"text","datatype":"BYTES","shape":[1],"data":["a\\"b"]}]}',
  );
});

test('binary tensors follow the JSON, whose length is in the header', () => {
  const { body, fields } = FORMATS['oip-binary'].write(rowsOf(ONE), ONE);
  const length = Number(/Content-Length: (\d+)/.exec(fields.join())![1]);
  const json = JSON.parse(Buffer.from(body as Buffer).toString('utf8', 0, length));
  assert.deepEqual(json.inputs, [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }]);
  assert.equal(
    Buffer.from(body as Buffer)
      .subarray(length)
      .toString('hex'),
    '0000c03f000000c0',
  );
});

test('a request may have several rows, in turn, and all requests are complete', () => {
  assert.equal(
    bodyOf('oip', ONE, 2),
    '{"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[1.5,-2,1.5,-2]}]}',
  );
  const rows = [1, 2, 3].map((value) => rowsOf(modelOf(ONE.form.signature.inputs, [value, value]))[0]!);
  const form = { path: '/p', host: 'example.com', headers: { Authorization: 'Bearer abc' }, rowsPerRequest: 2 };
  const requests = writeRequests(FORMATS.tensorflow, rows, ONE, form).map(String);
  assert.deepEqual(
    requests.map((text) => text.split('\r\n\r\n')[1]),
    ['{"instances":[[1,1],[2,2]]}', '{"instances":[[3,3],[1,1]]}'],
  );
  assert.equal(
    requests[0]!.split('\r\n\r\n')[0],
    'POST /p HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nAuthorization: Bearer abc\r\nContent-Length: 27',
  );
});

test('a model without an example gets zeros: one row, and a picture of 224 by 224', () => {
  assert.equal(bodyOf('native', modelOf(ONE.form.signature.inputs)), '{"features":[0,0]}');
  const { rows, source } = exampleRow(modelOf([{ name: 'image', dtype: 'uint8', shape: [-1, 3, -1, -1] }]));
  assert.deepEqual(rows[0]!.feeds.tensors[0]!.dims, [1, 3, 224, 224]);
  assert.equal(source, "zeros of the model's signature");
  assert.equal(bodyOf('native', modelOf(TWO.form.signature.inputs)), '{"features":{"id":[0],"text":""}}');
});

test('rows of different shapes cannot share a request, and a complete tensor is no instance', () => {
  const free = modelOf([{ name: 'x', dtype: 'float32', shape: [-1, -1] }]);
  const rows = [[1, 2], [1]].map((value) => rowsOf({ ...free, example: value })[0]!);
  assert.throws(
    () => FORMATS.oip.write(rows, free),
    /its shapes differ from those of the example: .* leave out --batch/,
  );
  const whole = modelOf([{ name: 'x', dtype: 'float32', shape: [3, 2] }]);
  assert.throws(() => FORMATS.vertex.write(rowsOf(whole), whole), /it is a complete tensor, and instances are rows/);
});
