import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { openModel } from '../../../functions/onnx/edit/open-model.ts';
import { isExternal, placeOf } from '../../../functions/onnx/edit/tensor-data.ts';
import { initializer, model, node, value } from '../../../functions/onnx/proto/build.ts';
import { EXTERNAL, layers, partlyExternal } from '../../helpers/large-weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'open-model-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: Uint8Array | string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

test('large initializers stay in the file; the small ones and the nodes are in the messages', () => {
  const path = write(
    'layers.onnx',
    model({
      name: 'mixed',
      nodes: [node('MatMul', ['x', 'w'], ['h']), node('Add', ['h', 'b'], ['y'])],
      initializers: [
        initializer('w', 'float32', [64, 32], new Float32Array(64 * 32)),
        initializer('b', 'float32', [32], new Float32Array(32)),
      ],
      inputs: [value('x', 'float32', ['N', 64])],
      outputs: [value('y', 'float32')],
    }),
  );
  const { graph, external } = openModel(path);
  const [w, b] = graph.initializer;
  assert.ok(isExternal(w!));
  assert.equal(w!.rawData.length, 0);
  assert.equal(placeOf(w!).location, 'layers.onnx');
  assert.ok(!isExternal(b!));
  assert.equal(b!.rawData.length, 128);
  assert.deepEqual(
    graph.node.map(({ opType }) => opType),
    ['MatMul', 'Add'],
  );
  assert.deepEqual(external, []);
});

test('the bytes of external data count, and each of its files is named once', () => {
  write('model.onnx.data', EXTERNAL);
  const path = write('outside.onnx', partlyExternal());
  const { bytes, external } = openModel(path);
  assert.deepEqual(external, ['model.onnx.data']);
  assert.equal(bytes, partlyExternal().length + EXTERNAL.length);
});

const REFUSED: [title: string, content: () => Uint8Array | string, message: RegExp][] = [
  [
    'external data that is missing',
    () => partlyExternal('gone.data'),
    /its external data is in "gone\.data", which is missing: copy it into /,
  ],
  [
    'external data of another folder',
    () => partlyExternal('../secret'),
    /"\.\.\/secret", which is not in the model's folder/,
  ],
  [
    'external data at an absolute path',
    () => partlyExternal('/etc/hostname'),
    /"\/etc\/hostname", which is not in the/,
  ],
  ['external data without a location', () => partlyExternal(''), /is in "", which is missing/],
  ['a text file', () => 'version 1', /expected an ONNX model, but found text: "version 1"/],
  ['a file that is cut short', () => layers().subarray(0, 5000), /expected an ONNX model, but it is cut short/],
];
for (const [title, content, message] of REFUSED) {
  test(`${title} is refused with the path and the reason`, () => {
    const path = write('refused.onnx', content());
    assert.throws(
      () => openModel(path),
      (error) => error instanceof ServingError && error.message.startsWith(path) && message.test(error.message),
    );
  });
}

test('a file that does not exist, and a folder, are refused by their names', () => {
  mkdirSync(join(folder, 'folder'));
  for (const name of ['none.onnx', 'folder']) {
    assert.throws(
      () => openModel(join(folder, name)),
      (error) => error instanceof ServingError && error.message.startsWith(join(folder, name)),
    );
  }
});
