import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromMessage, loadFinding } from '../../../functions/cli/doctor/findings.ts';

test('a message of the server is divided into what is wrong and what to do', () => {
  assert.deepEqual(
    fromMessage(
      'kind',
      "output p is map(int64, float): export the model without it (scikit-learn: options={'zipmap': False})",
    ),
    {
      level: 'fault',
      kind: 'kind',
      problem: 'output p is map(int64, float)',
      fix: "export the model without it (scikit-learn: options={'zipmap': False})",
    },
  );
  assert.deepEqual(fromMessage('kind', 'Load model failed: bad: thing'), {
    level: 'fault',
    kind: 'kind',
    problem: 'Load model failed: bad: thing',
  });
});

test('each kind of failed load is recognized by its message, and has a fix', () => {
  const kinds: [string, string][] = [
    ['expected an ONNX model, but it cannot be opened: EACCES: permission denied', 'unreadable'],
    ['expected an ONNX model, but it is cut short: it has 1 bytes of at least 9', 'truncated'],
    [
      'expected an ONNX model, but found a zip archive, such as PyTorch writes: export the model as ONNX',
      'not-a-model',
    ],
    ['the model is of IR version 99, this server takes up to 13: export it with an older onnx package', 'too-new'],
    [
      'the external data is cut short: the tensor w needs bytes 0 to 8 of a file of 4 bytes (d): copy it again',
      'external-data',
    ],
    ['its StringNormalizer needs the locale xx, which this system does not have: install it', 'locale'],
    [
      'onnxruntime has no implementation of the operator F of opset 1: export the model with other dtypes',
      'operator-dtype',
    ],
    [
      'an output whose type the file leaves open is tensor(bfloat16), which x cannot return: export it as float32',
      'dtype',
    ],
    ['it has no output: there is nothing to return', 'no-output'],
  ];
  for (const [message, kind] of kinds) {
    const found = loadFinding(message);
    assert.equal(found.kind, kind, message);
    assert.ok(found.fix, message);
  }
  assert.equal(loadFinding('something else').kind, 'load');
});
