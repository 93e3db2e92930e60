import assert from 'node:assert/strict';
import { test } from 'node:test';
import { weightPaths } from '../../../functions/model/folder/weights.ts';

test("the paths of weights are those of the file, below the model's folder, each once", () => {
  assert.deepEqual(weightPaths('model.onnx', ['w.bin', './w.bin', 'a//b c', 'x/../y'], 'm'), ['w.bin', 'a/b c', 'y']);
  assert.deepEqual(weightPaths('onnx/model.onnx', ['model.onnx_data'], 'm'), ['onnx/model.onnx_data']);
  assert.deepEqual(weightPaths('model.onnx', [], 'm'), []);
});

const REFUSED: [location: string, why: RegExp][] = [
  [
    '../other/w.bin',
    /^m: its external data is at "\.\.\/other\/w\.bin", which is outside of the model's folder: put it/,
  ],
  ['a/../../w', /outside of the model's folder/],
  ['..', /outside of the model's folder/],
  ['/etc/passwd', /is at "\/etc\/passwd", which is an absolute path: /],
  ['C:\\w.bin', /an absolute path/],
  ['\\\\host\\w.bin', /an absolute path/],
  ['', /not the path of a file/],
  ['.', /not the path of a file/],
  ['a\0b', /not the path of a file/],
];

for (const [location, message] of REFUSED) {
  test(`weights at ${JSON.stringify(location)} are refused, with the reason`, () => {
    for (const file of ['model.onnx', 'onnx/model.onnx']) {
      assert.throws(() => weightPaths(file, [location], 'm'), { code: 'MODEL_FAILED', message });
    }
  });
}
