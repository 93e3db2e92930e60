import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkOutput } from '../../../functions/cli/quantize/quantize-model.ts';
import type { LocalModel } from '../../../functions/cli/samples/local-model.ts';

test('the external data of another model is not replaced without --force', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'check-output-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const model = { path: join(folder, 'model.onnx') } as LocalModel;
  const output = join(folder, 'new.onnx');
  checkOutput(output, model, false);
  writeFileSync(`${output}.data`, 'weights');
  assert.throws(() => checkOutput(output, model, false), /new\.onnx\.data exists: give another --output, or --force/);
  checkOutput(output, model, true);
});
