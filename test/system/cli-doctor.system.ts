import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, run } from './program.ts';

test('doctor of the build finds its engine process, and measures a model', async () => {
  const program = join(ROOT, 'dist/cli.js');
  const { code, stdout, stderr } = await run(process.execPath, [
    program,
    'doctor',
    join(ROOT, 'models/iris'),
    '--json',
  ]);
  assert.equal(code, 0, stderr);
  const { models, cloud_run } = JSON.parse(stdout);
  assert.equal(models[0].measured.runs.length, 7);
  assert.equal(cloud_run.cpu, 1);
});
