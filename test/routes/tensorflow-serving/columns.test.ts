import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeColumns } from '../../../functions/routes/tensorflow-serving/columns.ts';
import type { Tensor, TensorSpec } from '../../../functions/tensor/tensor.ts';

const specs = (...outputs: [name: string, dtype: TensorSpec['dtype']][]) => ({
  inputs: [],
  outputs: outputs.map(([name, dtype]) => ({ name, dtype, shape: [] })),
});
const y: Tensor = { dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, Number.NaN) };
const label: Tensor = { dtype: 'int64', dims: [2], data: BigInt64Array.of(7n, 2n ** 60n) };
const words: Tensor = { dtype: 'string', dims: [2, 1], data: ['a', 'Malmö'] };

test('the only output loses its name, several are an object by name', async () => {
  assert.equal(await writeColumns(specs(['y', 'float32']), [y]), '[[1,2],[3,"NaN"]]');
  assert.equal(
    await writeColumns(specs(['label', 'int64'], ['y', 'float32']), [label, y]),
    '{"label":[7,1152921504606846976],"y":[[1,2],[3,"NaN"]]}',
  );
});

test('strings of outputs called …_bytes are base64', async () => {
  assert.equal(await writeColumns(specs(['word_bytes', 'string']), [words]), '[[{"b64":"YQ=="}],[{"b64":"TWFsbcO2"}]]');
  // A name alone makes no bytes of numbers.
  assert.equal(await writeColumns(specs(['y_bytes', 'int64']), [label]), '[7,1152921504606846976]');
});

test('a long column is written as a short one is, and others get their turn meanwhile', async () => {
  const dims = [50_000, 2];
  const data = Float32Array.from({ length: 100_000 }, (_, i) => i);
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  const text = await writeColumns(specs(['y', 'float32']), [{ dtype: 'float32', dims, data }]);
  clearInterval(timer);
  assert.ok(turns > 0);
  const rows = Array.from({ length: 50_000 }, (_, i) => `[${2 * i},${2 * i + 1}]`);
  assert.equal(text, `[${rows.join(',')}]`);
});
