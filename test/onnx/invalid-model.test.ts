import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEssentials, checkSize, guess, unsupportedValueError } from '../../functions/onnx/invalid-model.ts';

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1');

const FOUND: [title: string, start: string, found: RegExp][] = [
  ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00', /^found a Git LFS pointer: fetch/],
  ['a page', '<!DOCTYPE html><html><head>', /^found text: "<!DOCTYPE html><html><head>"$/],
  ['an error as JSON', '\n {"error": {}}', /^found text: "\{\\"error\\": \{\}\}"$/],
  ['a note', 'Model is not found.', /^found text: "Model is not found\."$/],
  ['text whose last letter is truncated', `${'a'.repeat(63)}\u00c3\u00b8`, /^found text: "a+"$/],
  ['a PyTorch file', 'PK\u0003\u0004\u0000', /^found a zip archive.*export/],
  ['a pickled scikit-learn model', '\u0080\u0004\u0095', /^found a Python pickle: export/],
  ['a compressed file', '\u001f\u008b\u0008', /^found a gzip file: unpack/],
  ['a Keras file', '\u0089HDF\r\n', /^found an HDF5 file/],
  ['bytes without meaning', '\u0008\u0007\u00ff', /^its 1234 bytes cannot be decoded: it is cut short, or/],
];
for (const [title, start, found] of FOUND) {
  test(`${title} is named as what it is`, () => assert.match(guess(latin1(start), 1234), found));
}

test('a model has at most a byte less than 2 GB, the limit of protobuf, and is not empty', () => {
  checkSize(2 ** 31 - 1, 'm.onnx');
  assert.throws(() => checkSize(2 ** 31, 'm.onnx'), {
    code: 'MODEL_FAILED',
    message: /^m\.onnx: .* it has 2147483648 bytes, and protobuf's limit is 2 GB: export it with external data/,
  });
  assert.throws(() => checkSize(0, 'm.onnx'), /^ServingError: m\.onnx: .* the file is empty$/);
});

test('graph, ir_version and, since IR version 3, opset_import are required', () => {
  checkEssentials({ hasGraph: true, irVersion: 2n, opsets: 0 }, 9, 'm.onnx');
  const refused = (hasGraph: boolean, irVersion: bigint, message: RegExp) =>
    assert.throws(() => checkEssentials({ hasGraph, irVersion, opsets: 0 }, 9, 'm.onnx'), message);
  refused(false, 8n, /no graph: it is cut short \(it has 9 bytes\), or some other protobuf message/);
  refused(true, 0n, /no ir_version: it is cut short \(it has 9 bytes\) or damaged/);
  refused(true, 3n, /no opset_import: it is cut short \(it has 9 bytes\) or damaged/);
});

test('inputs and outputs that cannot be sent or returned are named with their types, and each remedy once', () => {
  const { code, message } = unsupportedValueError('m.onnx', [
    { kind: 'input', name: 'a b', type: 'tensor(bfloat16)' },
    { kind: 'output', name: 'c', type: 'tensor(float8e5m2)' },
    { kind: 'output', name: 'd', type: undefined },
  ]);
  assert.equal(code, 'MODEL_FAILED');
  assert.equal(
    message,
    'm.onnx: input a b is tensor(bfloat16), which onnxruntime-node cannot take; output c is tensor(float8e5m2), which ' +
      'onnxruntime-node cannot return; output d is of a type that the file leaves open, which onnxruntime-node cannot return: ' +
      'export it as float32, with a Cast node between it and the rest of the model; export the model with a tensor for each ' +
      'element of it, or with one tensor (a ConcatFromSequence node at the end)',
  );
});

const WAYS: [kind: 'input' | 'output', type: string, way: RegExp][] = [
  ['input', 'tensor(complex64)', /real and the imaginary part/],
  ['output', 'tensor(int4)', /as int8, with a Cast node/],
  ['input', 'tensor(uint4)', /as uint8, with a Cast node/],
  ['output', 'sequence of map(int64, float)', /options=\{'zipmap': False\}/],
  ['input', 'map(string, float)', /without the DictVectorizer/],
  ['input', 'sequence of tensor(float)', /a tensor for each element of it$/],
  ['output', 'sequence of tensor(float)', /ConcatFromSequence/],
  ['output', 'optional tensor(float)', /as the tensor itself/],
  ['input', 'sparse tensor(float)', /as a dense tensor/],
];
for (const [kind, type, way] of WAYS) {
  test(`an ${kind} that is ${type} has a way out of its own`, () => {
    assert.match(unsupportedValueError('m.onnx', [{ kind, name: 'x', type }]).message, way);
  });
}
