import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createInstanceWriter } from '../../../functions/routes/instances/instance-writer.ts';
import type { Tensor, TensorSpec } from '../../../functions/tensor/tensor.ts';

const specs = (...outputs: [name: string, dtype: TensorSpec['dtype']][]) => ({
  inputs: [],
  outputs: outputs.map(([name, dtype]) => ({ name, dtype, shape: [] })),
});
const y: Tensor = { dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, Number.NaN) };
const label: Tensor = { dtype: 'int64', dims: [2], data: BigInt64Array.of(7n, 2n ** 60n) };
const words: Tensor = { dtype: 'string', dims: [2, 1], data: ['a', 'Malmö'] };

test('the only output loses its name, several are an object by name', () => {
  const one = createInstanceWriter({ signature: specs(['y', 'float32']), joinsRows: true });
  assert.equal(one([y], 0, true), '[1,2]');
  const both = createInstanceWriter({ signature: specs(['label', 'int64'], ['y "1"', 'float32']), joinsRows: true });
  assert.equal(both([label, y], 1, true), '{"label":1152921504606846976,"y \\"1\\"":[3,"NaN"]}');
});

test('strings are texts, but for outputs called …_bytes, which are base64', () => {
  const text = createInstanceWriter({ signature: specs(['word', 'string']), joinsRows: true });
  assert.equal(text([words], 1, true), '["Malmö"]');
  const bytes = createInstanceWriter({ signature: specs(['word_bytes', 'string']), joinsRows: true });
  assert.equal(bytes([words], 1, true), '[{"b64":"TWFsbcO2"}]');
  assert.equal(bytes([{ ...words, dims: [2] }], 0, true), '{"b64":"YQ=="}');
});

test('where rows are not joined, a first dimension of 1 is the row, and any other is part of the value', () => {
  const write = createInstanceWriter({ signature: specs(['y', 'float32']), joinsRows: false });
  const single: Tensor = { dtype: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) };
  assert.equal(write([single], 0, true), '[1,2]');
  assert.equal(write([single], 0, false), '[[1,2]]');
  assert.equal(write([y], 0, true), '[[1,2],[3,"NaN"]]');
});

test('an output of JSON texts is the JSON itself', () => {
  const { outputs } = specs(['result', 'string']);
  const write = createInstanceWriter({
    signature: { inputs: [], outputs: [{ ...outputs[0]!, json: true }] },
    joinsRows: true,
  });
  const results: Tensor = { dtype: 'string', dims: [2], data: ['{"a":1}', '[2]'] };
  assert.deepEqual([write([results], 0, true), write([results], 1, true)], ['{"a":1}', '[2]']);
});
