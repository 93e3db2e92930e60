import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { rowsOf } from '../../../functions/cli/edited/rows.ts';
import { findLocalModel } from '../../../functions/cli/samples/local-model.ts';
import { ServingError } from '../../../functions/errors.ts';

const IRIS = join(import.meta.dirname, '../../../models/iris');
const folder = mkdtempSync(join(tmpdir(), 'rows-'));
after(() => rmSync(folder, { recursive: true }));
const signature = {
  inputs: [{ name: 'features', dtype: 'float32', shape: [-1, 4] }],
  outputs: [{ name: 'label', dtype: 'int64', shape: [-1] }],
} as const;

test('the rows are those of golden.json, else the example, else made up', async () => {
  const golden = rowsOf(await findLocalModel(join(IRIS, 'model.onnx')), signature, undefined);
  assert.deepEqual([golden.from, golden.isSynthetic], ['golden.json', false]);
  assert.ok(golden.rows.every(({ tensors }) => tensors[0]!.dims.join() === '1,4'));

  cpSync(join(IRIS, 'model.onnx'), join(folder, 'model.onnx'));
  const made = rowsOf(await findLocalModel(join(folder, 'model.onnx')), signature, undefined);
  assert.deepEqual([made.from, made.isSynthetic, made.rows.length], ['synthetic rows', true, 16]);

  writeFileSync(join(folder, 'model.json'), '{"example":{"features":[5,3,1,0.5]}}');
  const example = rowsOf(await findLocalModel(join(folder, 'model.onnx')), signature, undefined);
  assert.deepEqual(Array.from(example.rows[0]!.tensors[0]!.data as Float32Array), [5, 3, 1, 0.5]);
  assert.ok(!example.isSynthetic && example.rows.length === 17);
});

test('a file of samples goes before them, and its faults are named by line', async () => {
  const model = await findLocalModel(join(IRIS, 'model.onnx'));
  const samples = join(folder, 'rows.ndjson');
  writeFileSync(samples, '[1,2,3,4]\n{"features":[5,6,7,8]}\n');
  const { rows, from } = rowsOf(model, signature, samples);
  assert.deepEqual([rows.length, from], [2, 'rows.ndjson']);
  writeFileSync(samples, '[1,2,3,4]\n[1,2,3]\n');
  assert.throws(
    () => rowsOf(model, signature, samples),
    (error) => error instanceof ServingError && error.message.includes('rows.ndjson:2'),
  );
});
