import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServingError } from '../../../functions/errors.ts';
import { model, node, value } from '../../../functions/onnx/proto/build.ts';
import { readModel } from '../../../functions/onnx/proto/read.ts';
import { concat, field, varint } from '../../helpers/wire.ts';

const bytes = model({
  name: 'echo',
  nodes: [node('Identity', ['x'], ['y'])],
  inputs: [value('x', 'float32', ['N', 4])],
  outputs: [value('y', 'float32', ['N', 4])],
});

/** An error for `m.onnx` whose text has `reason` in it. */
function refusal(reason: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ServingError, String(error));
    assert.equal(error.code, 'MODEL_FAILED');
    assert.match(error.message, /^m\.onnx: expected an ONNX model, but /);
    assert.match(error.message, reason);
    return true;
  };
}

test('a model reads back as it was built', () => {
  const { irVersion, graph, opsetImport } = readModel(bytes, 'm.onnx');
  assert.equal(irVersion, 8n);
  assert.deepEqual(
    opsetImport.map(({ domain, version }) => [domain, version]),
    [['', 17n]],
  );
  assert.equal(graph?.name, 'echo');
  assert.deepEqual([graph?.node[0]?.opType, graph?.node[0]?.input, graph?.node[0]?.output], ['Identity', ['x'], ['y']]);
  const type = graph?.input[0]?.type?.value;
  assert.ok(type?.case === 'tensorType');
  assert.equal(type.value.elemType, 1);
  assert.deepEqual(
    type.value.shape?.dim.map((dim) => dim.value.value),
    ['N', 4n],
  );
});

test('a model cut short anywhere is refused', () => {
  for (let length = 0; length < bytes.length; length++) {
    const whole = length === 0 ? /the file is empty/ : /cut short|damaged/;
    assert.throws(() => readModel(bytes.subarray(0, length), 'm.onnx'), refusal(whole), `${length} bytes`);
  }
});

const files: [title: string, content: string | Uint8Array, reason: RegExp][] = [
  ['a page of HTML is refused by its first words', '<!doctype html><title>404</title>', /found text: "<!doctype html>/],
  ['a JSON error is refused by its first words', '\n{"error":{"code":403}}', /found text: "\{\\"error/],
  ['a Git LFS pointer is refused by its name', 'version https://git-lfs.github.com/spec/v1\n', /Git LFS pointer/],
  ['random bytes are refused', Uint8Array.from({ length: 500 }, (_, i) => (i * 151 + 7) % 256), /cannot be decoded/],
  ['a protobuf message without a graph is refused', field(1, 8), /no graph/],
  ['a model without ir_version is refused', concat(field(7, field(2, 'g')), field(8, field(2, 17))), /no ir_version/],
  ['a model without opset_import is refused', concat(field(1, 8), field(7, field(2, 'g'))), /no opset_import/],
];
for (const [title, content, reason] of files) {
  const given = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  test(title, () => assert.throws(() => readModel(given, 'm.onnx'), refusal(reason)));
}

test('a model nested too deep is refused, and does not overflow the stack', () => {
  // A graph in an attribute of a node of a graph, and so on: GraphProto.node, NodeProto.attribute, AttributeProto.g.
  let graph = field(2, 'innermost');
  for (let depth = 0; depth < 2000; depth++) graph = field(1, field(5, field(6, graph)));
  assert.throws(() => readModel(concat(field(1, 8), field(7, graph)), 'm.onnx'), refusal(/cannot be decoded/));
});

test('weights are views of the bytes that were read, not copies', () => {
  // GraphProto.initializer = 5, TensorProto.raw_data = 9.
  const weights = Uint8Array.of(1, 2, 3, 4);
  const file = concat(field(1, 8), field(8, field(2, 17)), field(7, field(5, field(9, weights))));
  const [tensor] = readModel(file, 'm.onnx').graph?.initializer ?? [];
  assert.deepEqual(tensor?.rawData, weights);
  assert.equal(tensor?.rawData.buffer, file.buffer);
});

test('wire bytes made by hand are what protobuf says they are', () => {
  // https://protobuf.dev/programming-guides/encoding/: 150 is 96 01, a field 1 of it 08 96 01, a field 2 "testing" below.
  assert.deepEqual([...varint(150)], [0x96, 0x01]);
  assert.deepEqual([...field(1, 150)], [0x08, 0x96, 0x01]);
  assert.deepEqual([...field(2, 'testing')], [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
});
