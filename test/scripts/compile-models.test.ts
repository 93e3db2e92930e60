import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createCompiledModels, LEAST_COMPILED_BYTES } from '../../functions/model/compiled/compiled-models.ts';
import { layers } from '../helpers/large-weights.ts';
import { identity, writeModel } from '../helpers/models.ts';
import { recordTelemetry } from '../helpers/telemetry.ts';

const PROGRAM = fileURLToPath(new URL('../../scripts/compile-models.ts', import.meta.url));

test('the models of a folder are compiled beside their files, where a server finds them', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'compile-models-'));
  t.after(() => rmSync(root, { recursive: true }));
  writeModel(root, 'large/2', layers());
  writeModel(root, 'tiny', identity());
  const run = (...args: string[]) => spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
  const small = run(root);
  assert.equal(small.status, 0, small.stderr);
  assert.equal(small.stdout.match(/not compiled: it is small/g)?.length, 2);

  const { stdout, status, stderr } = run('--all', root);
  assert.equal(status, 0, stderr);
  const path = join(root, 'large/2/model.onnx');
  assert.match(stdout, new RegExp(`${path}: compiled\n`));
  assert.match(stdout, /tiny\/model\.onnx: not compiled: its weights are copied/);
  assert.deepEqual(readdirSync(join(root, 'tiny')), ['model.onnx']);
  const models = createCompiledModels({
    ...{ always: false, folder: undefined, filesAreMemory: true, logger: recordTelemetry().logger },
  });
  const found = (await models.open({ name: 'large', bytes: LEAST_COMPILED_BYTES, paths: [path], fetched: undefined }))!;
  await found.isOfModel;
  assert.notEqual(found.files, undefined);
});

test('a folder that does not exist is an error', () => {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '/no/such/folder'], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /no such file or folder/);
});
